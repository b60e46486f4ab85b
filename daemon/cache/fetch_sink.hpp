// The sink of one fetch of one fill.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cache/fill_file.hpp"
#include "cache/link.hpp"
#include "cache/source.hpp"

namespace otagate::cache {

class FetchSink : public Sink {
 public:
  // Takes [begin, end); end kUnknownSize: whatever comes. `change_token`: empty accepts any.
  FetchSink(std::shared_ptr<FillFile> file, std::shared_ptr<Link> link, std::uint64_t begin,
            std::uint64_t end, std::string change_token);

  SinkVerdict begin(const ObjectInfo& info) override;
  SinkVerdict write(std::span<const std::byte> bytes) override;

  // --- any thread
  void stop();
  std::uint64_t received() const { return received_.load(std::memory_order_acquire); }
  // Why the sink said stop by itself.
  std::optional<Error> error() const;
  std::optional<std::chrono::steady_clock::time_point> first_byte() const;

 private:
  SinkVerdict refuse(Error error);

  const std::shared_ptr<FillFile> file_;
  const std::shared_ptr<Link> link_;  // only its limiter is touched here
  const std::uint64_t end_;
  const std::string change_token_;
  FillFile::Cursor cursor_;  // the sender's thread only
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::int64_t> first_byte_{0};  // steady clock ticks, 0: none yet
  mutable std::mutex mutex_;                 // guards error_
  std::optional<Error> error_;
};

}  // namespace otagate::cache

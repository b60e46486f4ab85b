// Bytes that somebody sends us, as the source of a fill.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "cache/source.hpp"
#include "core/fd.hpp"

namespace otagate::gateway {

// Shared by the fill, which asks for the bytes, and a thread of the owner's, which carries them: run().
class Upload final : public cache::Source {
 public:
  Upload(UniqueFd socket, std::uint64_t size) : socket_(std::move(socket)), size_(size) {}

  // Carries the bytes from the socket into the fill. Returns when they are through, or when it is known
  // that nobody wants them.
  void run();
  // The fill has ended, or there was none.
  void finished();
  // Nothing more comes: a run() in progress fails.
  void interrupt();

  // --- cache::Source
  Caps caps() const override { return {size_, false, 0, 1}; }
  cache::FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<cache::Sink> sink,
                       std::function<void(Result<void>)> done) override;
  void cancel(cache::FetchId fetch) override;

 private:
  Result<void> carry(cache::Sink& sink);

  const UniqueFd socket_;
  const std::uint64_t size_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool finished_ = false;                   // all under mutex_
  bool asked_ = false;                      // once is all there is
  std::shared_ptr<cache::Sink> sink_;       // of a fetch that run() has not taken yet
  std::function<void(Result<void>)> done_;  // the same
};

}  // namespace otagate::gateway

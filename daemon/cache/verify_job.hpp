// Hashes one cached blob again, in steps, so that fills' hashing goes on in between.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cache/cache.hpp"
#include "cache/layout.hpp"
#include "cache/loop.hpp"
#include "core/digest.hpp"
#include "core/fd.hpp"

namespace otagate::cache {

class VerifyJob : public std::enable_shared_from_this<VerifyJob> {
 public:
  struct Outcome {
    enum class Kind : std::uint8_t {
      good,
      bad,
      gone,     // there is no such file
      unknown,  // it could not be opened; says nothing about its bytes
    };
    Kind kind = Kind::unknown;
    FileIdentity identity;  // if good
    std::string reason;     // if not
  };
  using Ended = std::function<void(const Digest&, const Outcome&)>;

  // `pace`: bytes a second, 0 as fast as it goes. `ended` once, on `main`.
  VerifyJob(std::shared_ptr<Loop> main, Loop& hash, const Digest& digest, std::uint64_t size,
            std::filesystem::path path, std::uint64_t pace, Ended ended);

  void start();
  // No more waiting between steps: somebody needs the result. `main` only, as the next.
  void hurry();
  std::vector<Cache::DoneCallback>& waiting() { return waiting_; }

 private:
  static constexpr std::size_t kStep = 1 << 20;

  void open();
  void step();
  void next();
  void end(Outcome outcome);

  const std::shared_ptr<Loop> main_;
  Loop& hash_;
  const Digest digest_;
  const std::uint64_t size_;
  const std::filesystem::path path_;
  std::atomic<std::uint64_t> pace_;
  const Ended ended_;
  std::vector<Cache::DoneCallback> waiting_;  // main only
  TimerId timer_ = 0;                         // main only

  // The hash thread only.
  UniqueFd fd_;
  FileIdentity before_;
  Sha256 sha_;
  std::uint64_t offset_ = 0;
  int restarts_ = 0;
};

}  // namespace otagate::cache

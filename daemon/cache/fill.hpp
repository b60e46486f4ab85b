// One fill: fetches an object's bytes in the order in which they are wanted, verifies and stores them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.hpp"
#include "cache/feed.hpp"
#include "cache/fetch_sink.hpp"
#include "cache/fill_file.hpp"
#include "cache/link.hpp"

namespace otagate::cache {

class Core;

// The cache's thread only. Queued until start(); ends exactly once, by Core::fill_ended().
class Fill : public std::enable_shared_from_this<Fill> {
 public:
  Fill(Core& core, const OpenRequest& request, std::shared_ptr<Source> source, std::shared_ptr<Link> link);

  const FillKey& key() const { return key_; }
  const std::string& id() const { return id_; }
  bool storing() const { return state_ == State::storing; }
  bool prefetch() const { return prefetch_; }
  bool started() const { return state_ != State::queued; }
  bool storing(const Digest& digest) const { return state_ == State::storing && digest_ == digest; }
  std::uint64_t reserved() const;  // bytes of disk it will have taken in the end

  // Somebody asks for the same: gets a reader of it, at once or when it is verified.
  void join(const OpenRequest& request, Cache::OpenCallback callback);
  void start();
  // Ends with `error`. Its fetches are cancelled; `discard` removes the files.
  void end(const Error& error, bool discard);
  // Makes what is there durable; for a stop.
  void sync();
  // Ends a back-off.
  void retry_now();
  FillInfo info() const;
  // The blob is in place: readers may have all of it. Then, once it is in the index, who waits is told.
  // No-ops if the fill was ended meanwhile.
  void release_tail(const Digest& digest);
  void announce(const Digest& digest, VerifyLevel level);
  std::shared_ptr<FillFile> file() const { return file_; }
  std::shared_ptr<Feed> feed() const { return feed_; }

 private:
  enum class State : std::uint8_t { queued, starting, checking, fetching, verifying, storing, ended };
  using Clock = std::chrono::steady_clock;

  struct Fetch {
    std::uint64_t begin;
    std::uint64_t end;  // kUnknownSize: to the end, wherever that is
    bool sequential;
    std::shared_ptr<FetchSink> sink;
    FetchId id = 0;
    Clock::time_point started;
    bool answered = false;
  };
  struct Waiting {  // for a reader
    bool streaming;
    std::uint64_t peer;
    Cache::OpenCallback callback;
    TimerId timer = 0;
  };

  void opened(Result<std::shared_ptr<FillFile>> file);
  Result<void> make_feed();
  void serve(bool verified);
  void fail_waiting(const Error& error);
  void check();
  void on_progress();
  void measure();
  void sync_if_due();
  void schedule();
  void schedule_ranges();
  bool may_start(std::size_t most);
  bool near_end(const Fetch& fetch) const;
  const Fetch* claim_of(std::uint64_t position) const;
  std::uint64_t segment_end(std::uint64_t begin, std::uint64_t length) const;
  void start_fetch(std::uint64_t begin, std::uint64_t end, bool sequential);
  void on_done(std::uint64_t number, const Result<void>& result);
  void on_error(const Error& error, bool answered);
  void on_full_disk(const Error& error);
  void retry_later(Clock::duration delay);
  void pump_hash();
  void on_hashed(FillFile::Step step);
  void on_bad_chunk(std::size_t chunk);
  void close_hash();
  static void closing(const std::shared_ptr<Fill>& self, const Digest& digest);
  void on_verified(const Digest& digest, Result<VerifyLevel> level);
  void cancel_fetches();

  Core& core_;
  const FillKey key_;
  const std::string id_;
  bool prefetch_;
  const std::shared_ptr<Source> source_;
  const Source::Caps caps_;
  const std::shared_ptr<Verifier> verifier_;
  const std::shared_ptr<Link> link_;

  State state_ = State::queued;
  std::shared_ptr<FillFile> file_;
  std::shared_ptr<Feed> feed_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_waiting_ = 0;
  std::map<std::uint64_t, Fetch> fetches_;
  std::uint64_t last_fetch_ = 0;
  std::uint64_t fetched_ = 0;  // by fetches that have ended
  bool hashing_ = false;
  bool syncing_ = false;
  bool made_room_ = false;
  std::uint32_t bad_chunks_ = 0;
  std::uint32_t attempts_ = 0;
  std::uint64_t present_at_error_ = 0;
  Clock::time_point back_off_until_{};
  Clock::time_point last_attempt_{};
  TimerId retry_timer_ = 0;
  std::optional<Error> last_error_;
  std::optional<Digest> digest_;
  std::optional<Clock::time_point> window_;  // of the measurement of the rate
  std::uint64_t window_bytes_ = 0;
};

}  // namespace otagate::cache

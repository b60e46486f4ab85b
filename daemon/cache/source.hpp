// Where a fill's bytes come from. The gateway implements Source over a storage plugin; the cache
// implements Sink.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cache/types.hpp"

namespace otagate::cache {

// What the store said about the object it is about to send.
struct ObjectInfo {
  std::optional<std::uint64_t> total_size;  // of the whole object, not of the range
  std::string change_token;                 // empty: not said
};

enum class SinkVerdict : std::uint8_t {
  go_on,
  stop,  // send no more and complete; the cache ignores whatever still comes
};

// Takes the bytes of one fetch, in order. One thread at a time (which may change), never after the
// fetch has been completed. Owned by whoever sends; keeps what it needs of the fill alive.
class Sink {
 public:
  virtual ~Sink() = default;
  // At most once, before the first byte; optional. stop: the object is not the one asked for.
  virtual SinkVerdict begin(const ObjectInfo& info) = 0;
  // Writes to the file in the caller's thread. May block: that is the push-back of a bandwidth cap
  // and of a disk slower than the uplink. Bytes beyond the asked range give stop.
  virtual SinkVerdict write(std::span<const std::byte> bytes) = 0;
};

using FetchId = std::uint64_t;

// One object of one store, for the time of one fill. All calls come from the cache's thread and must
// not block. Kept alive until the last fetch has been completed.
class Source {
 public:
  struct Caps {
    std::optional<std::uint64_t> size;
    bool ranges = false;            // fetch with an offset works and is validated (If-Match)
    std::uint64_t min_segment = 0;  // the store asks for no smaller requests than this
    std::uint32_t parallel = 2;     // fetches at a time; the cache uses two at most
  };

  virtual ~Source() = default;
  // Asked once, before the first fetch; constant.
  virtual Caps caps() const = 0;
  // Asks for [offset, offset + length); length 0: from offset to the end (always so, with offset 0,
  // where there are no ranges or no size). `done` exactly once, inline or later, any thread, after the
  // last write to `sink`: success when all that was asked for has been written. One attempt: retry,
  // back-off and resume are the cache's. The error's code decides: transient, throttled, clock,
  // deadline, busy, internal are tried again (retry_after_ms is honoured), changed abandons the fill,
  // any other fails it.
  virtual FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                        std::function<void(Result<void>)> done) = 0;
  // `done` still comes, soon, with any result. Unknown or finished: no-op.
  virtual void cancel(FetchId fetch) = 0;
};

}  // namespace otagate::cache

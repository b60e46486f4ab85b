// What the cache asks of its surroundings; the gateway implements these. Each must outlive the cache.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "cache/types.hpp"

namespace otagate::cache {

// Random access to the bytes under verification, the held tail included. Only during the call.
class BlobView {
 public:
  virtual ~BlobView() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset`; bytes read, less than out.size() only at the end.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

// The policy of a store and type: signature, hash inside the image, what `require` asks for.
class Verifier {
 public:
  virtual ~Verifier() = default;
  // On the cache's hash thread, once all bytes are at hand and `expected` (if any) matched. `reached` is
  // digest when an expected digest matched, else length. Returns the level reached; an error rejects
  // the fill with the error's message as reason.
  virtual Result<VerifyLevel> verify(const FillKey& key, const Digest& digest, VerifyLevel reached,
                                     const BlobView& bytes) = 0;
};

// Durable records, kept in SQLite. Calls come from the cache's thread and must not block; where the
// order matters `done` is called once it is durable (any thread, exactly once, inline allowed).
class Journal {
 public:
  using Done = std::function<void(Result<void>)>;
  virtual ~Journal() = default;
  virtual void fill_started(const FillKey& key, std::string_view id, std::uint64_t size) = 0;
  // code ok: became a blob. rejected: remember (change token, expected digest) and retire the tag.
  virtual void fill_ended(const FillKey& key, std::string_view id, Code code, std::string_view reason) = 0;
  // The file is in place and its directory is synced; the blob is announced to readers after done,
  // also when done carries an error (the blob is then adopted by the next reconcile). `key` is absent
  // for an adopted blob.
  virtual void blob_added(const BlobRecord& blob, const std::optional<FillKey>& key, Done done) = 0;
  // Before the file goes; an error keeps the file.
  virtual void blob_removed(const Digest& digest, std::string_view reason, Done done) = 0;
  // Hashed again and good: the identity, level and verified_ms to remember.
  virtual void blob_verified(const BlobRecord& blob) = 0;
  // Bad bytes: moved aside. Its row goes.
  virtual void blob_quarantined(const Digest& digest, std::string_view reason) = 0;
  // Use of blobs since the last call, newest value each; at most once a minute and at stop.
  virtual void blobs_used(std::span<const BlobRecord> blobs) = 0;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // On the cache's thread; must not block and must not call the blocking queries of Cache.
  virtual void event(const Event& event) = 0;
};

// May this blob go because of its age? No while a store that has it could not be listed since the
// uplink was lost. On the cache's thread.
class EvictionGate {
 public:
  virtual ~EvictionGate() = default;
  virtual bool may_expire(const Digest& digest) = 0;
};

struct Host {
  Journal* journal = nullptr;    // required
  EventSink* events = nullptr;   // required
  EvictionGate* gate = nullptr;  // null: age alone decides
};

}  // namespace otagate::cache

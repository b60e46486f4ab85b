// A configured store, as the gateway calls it; and what it tells the gateway unasked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "otagate/storage.h"
#include "plugin/instance.hpp"

namespace otagate::plugin {

struct StoreCaps {
  std::uint32_t flags = 0;  // OTAGATE_STORE_*
  std::uint64_t min_segment = 0;
  std::uint32_t parallel = 1;

  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

// An object as a store says it; bounded and checked: key 1 to 1,024 bytes without NUL, at most 64 pairs.
struct Object {
  std::string key;
  std::string change_token;
  std::optional<std::uint64_t> size;
  std::uint32_t flags = 0;  // OTAGATE_OBJECT_*
  std::optional<Digest> sha256;
  std::int64_t modified_ms = 0;  // 0: unknown
  Pairs metadata;                // keys in lower case
  std::vector<std::string> locators;
};

struct ListPage {
  std::vector<Object> objects;
  std::string cursor;            // empty: that was the last page
  std::uint64_t unreadable = 0;  // objects left out because they broke a bound
};

struct FetchRequest {
  std::string key;
  std::string locator;
  std::string change_token;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // 0: to the end
};

struct FetchInfo {
  std::optional<std::uint64_t> total;
  std::string change_token;
};

enum class SinkAnswer {
  go_on,
  stop,
  pause,  // these bytes were taken; no more until resume()
};

// Takes the bytes of one fetch, in order, one call at a time, on a thread of the plugin. May block,
// but only a plugin that is marked blocking can bear that: StorageInstance::may_block().
class FetchSink {
 public:
  virtual ~FetchSink() = default;
  virtual SinkAnswer begin(const FetchInfo& info) = 0;
  virtual SinkAnswer bytes(std::span<const std::byte> data) = 0;
};

struct PublishRequest {
  int fd = -1;  // read-only; stays the caller's, open until the reply
  std::uint64_t size = 0;
  std::string sha256;
  std::string key;
  Pairs metadata;
};

struct Feedback {
  std::uint32_t kind = 0;  // OTAGATE_FEEDBACK_*
  std::string external_id;
  std::string device;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::int64_t at_ms = 0;
  std::int32_t code = 0;
  std::string message;
};

struct AssignmentPart {
  std::string component;
  std::string name;
  std::string version;
  Pairs params;
  Object object;
};

struct Assignment {
  std::string external_id;
  std::string device;
  std::uint32_t mode = 0;    // OTAGATE_ASSIGN_*
  std::uint32_t window = 0;  // OTAGATE_WINDOW_*
  std::int64_t not_before_ms = 0;
  bool needs_confirm = false;
  std::vector<AssignmentPart> parts;
};

// What a store says unasked. Implemented by the gateway; must outlive the instance. Any thread, must
// not block.
class StorageListener {
 public:
  virtual ~StorageListener() = default;
  // List again soon; `key` may be empty. Not merged here.
  virtual void changed(std::string_view instance, std::string_view key) = 0;
  // Complete: all its parts are there. False: no room now.
  virtual bool assigned(std::string_view instance, Assignment assignment) = 0;
  virtual void unassigned(std::string_view instance, std::string_view external_id) = 0;
};

// Thread-safe. Every call returns at once with its id; its reply comes exactly once, on the registry's
// thread, maybe before the call returned, and must not block. A call gets code deadline when it has not
// completed by then, cancelled after cancel(), busy when the instance has too many open calls, internal
// once it has failed. What the plugin reports keeps its status and retry_after_ms.
class StorageInstance {
 public:
  virtual ~StorageInstance() = default;

  virtual const std::string& name() const = 0;
  virtual InstanceStatus status() const = 0;
  virtual StoreCaps caps() const = 0;
  // The plugin's calls run on threads that may wait in a sink.
  virtual bool may_block() const = 0;

  virtual CallId list(std::string cursor, std::uint32_t limit, std::chrono::milliseconds timeout,
                      Reply<ListPage> reply) = 0;
  virtual CallId stat(std::string key, std::chrono::milliseconds timeout, Reply<Object> reply) = 0;
  // The timeout is one without progress: it starts again whenever the sink has taken bytes. No sink
  // call comes after the reply has begun.
  virtual CallId fetch(FetchRequest request, std::chrono::milliseconds timeout,
                       std::shared_ptr<FetchSink> sink, Reply<void> reply) = 0;
  virtual CallId presign(std::string key, std::string change_token, bool head,
                         std::chrono::milliseconds expiry, std::chrono::milliseconds timeout,
                         Reply<std::string> reply) = 0;
  virtual CallId publish(PublishRequest request, std::chrono::milliseconds timeout, Reply<Object> reply) = 0;
  virtual CallId watch(std::string device, Pairs attributes, std::chrono::milliseconds timeout,
                       Reply<void> reply) = 0;
  virtual CallId unwatch(std::string device, std::chrono::milliseconds timeout, Reply<void> reply) = 0;
  virtual CallId feedback(Feedback feedback, std::chrono::milliseconds timeout, Reply<void> reply) = 0;

  // The call's reply comes soon, with cancelled or what it came to. Unknown or over: no-op.
  virtual void cancel(CallId call) = 0;
  // After SinkAnswer::pause.
  virtual void resume(CallId call) = 0;

  // Cancels all, waits for the plugin for at most `grace`, destroys the instance. `done` once, on the
  // registry's thread. A plugin that does not let go is left behind and stays `hung`.
  virtual void close(std::chrono::milliseconds grace, std::function<void()> done) = 0;
};

}  // namespace otagate::plugin

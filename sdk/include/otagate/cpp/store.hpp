// Stores in plain blocking C++: derive from Store, override what you can do, end with OTAGATE_PLUGIN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "otagate/cpp/plugin.hpp"
#include "otagate/storage.h"

namespace otagate::sdk {

// One thing in a store that may be firmware. `key` names it for fetch().
struct Object {
  std::string key{};
  std::string change_token{};  // differs when the bytes differ; required where anything can change
  std::string sha256{};        // 64 hex digits when the store vouches for them
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::int64_t modified_ms = 0;
  bool ranges = true;     // can be fetched in ranges, where caps say that the store can
  bool has_stat = false;  // stat() would give metadata that this listing did not
  Pairs metadata{};       // name, version, type, sha256, kind, dependency, ...
  std::vector<std::string> locators{};

  // Calls f with the ABI's struct, which borrows from this object.
  template <class F>
  auto with_struct(F f) const {
    const std::string packed = pack(metadata);
    const std::string places = pack(locators);
    auto out = make_struct<otagate_object>();
    out.flags = (ranges ? OTAGATE_OBJECT_RANGES : 0u) | (has_stat ? OTAGATE_OBJECT_STAT : 0u);
    out.key = str(key);
    out.change_token = str(change_token);
    out.sha256 = str(sha256);
    out.object_size = size;
    out.modified_ms = modified_ms;
    out.metadata = str(packed);
    out.locators = str(places);
    return f(out);
  }
};

struct Caps {
  std::uint32_t flags = 0;  // OTAGATE_STORE_*
  std::uint64_t min_segment = 0;
  std::uint32_t parallel = 1;
};

// The views of requests are borrowed for the call.
struct ListRequest {
  std::string_view cursor{};  // empty: the first page
  std::uint32_t limit{};
};

struct FetchRequest {
  std::string_view key{};
  std::string_view locator{};       // empty: the object's own place
  std::string_view change_token{};  // empty: whatever is there now; else fail with OTAGATE_CHANGED
  std::uint64_t offset{};
  std::uint64_t length{};  // 0: to the end
};

struct PresignRequest {
  std::string_view key{};
  std::string_view change_token{};
  bool head{};
  std::uint64_t expiry_ms{};
};

struct PublishRequest {
  int fd{};  // read-only, the gateway's; positioned reads
  std::uint64_t size{};
  std::string_view sha256{};
  std::string_view key{};  // empty: make one
  Pairs metadata{};
};

struct Feedback {
  std::uint32_t kind{};  // OTAGATE_FEEDBACK_*
  std::string_view external_id{};
  std::string_view device{};
  std::uint64_t done{};
  std::uint64_t total{};
  std::int64_t at_ms{};
  std::int32_t code{};
  std::string_view message{};
};

struct AssignmentPart {
  std::string component{};
  std::string name{};
  std::string version{};
  Pairs params{};
  Object object{};
};

struct Assignment {
  std::string external_id{};
  std::string device{};
  std::uint32_t mode = OTAGATE_ASSIGN_FORCED;
  std::uint32_t window = OTAGATE_WINDOW_NONE;
  std::int64_t not_before_ms = 0;
  bool needs_confirm = false;
  std::vector<AssignmentPart> parts{};
};

// What the gateway offers a store. Any thread.
class StoreHost : public Host {
 public:
  StoreHost(const otagate_host* host, otagate_instance instance)
      : Host(host, instance),
        store_(read_struct<otagate_storage_host>(
            table().interface ? table().interface(table().context, OTAGATE_STORAGE_HOST_1) : nullptr)) {}

  // Something changed: list again soon. Hints are merged.
  void changed(std::string_view key = {}) const {
    if (store_.changed) store_.changed(table().context, instance(), str(key));
  }

  // False when the gateway takes no more assignments now: say it again later.
  bool assign(const Assignment& wish) const {
    if (!store_.assignment || !store_.assignment_part || !store_.assignment_commit) return false;
    auto head = make_struct<otagate_assignment>();
    head.mode = wish.mode;
    head.external_id = str(wish.external_id);
    head.device = str(wish.device);
    head.window = wish.window;
    head.parts = static_cast<std::uint32_t>(wish.parts.size());
    head.not_before_ms = wish.not_before_ms;
    head.needs_confirm = wish.needs_confirm ? 1u : 0u;
    const std::uint64_t handle = store_.assignment(table().context, instance(), &head);
    if (!handle) return false;
    std::uint32_t index = 0;
    for (const AssignmentPart& part : wish.parts) {
      part.object.with_struct([&](const otagate_object& object) {
        const std::string params = pack(part.params);
        auto out = make_struct<otagate_assignment_part>();
        out.index = index++;
        out.component = str(part.component);
        out.name = str(part.name);
        out.version = str(part.version);
        out.params = str(params);
        out.object = &object;
        store_.assignment_part(table().context, handle, &out);
      });
    }
    store_.assignment_commit(table().context, handle);
    return true;
  }
  void unassign(std::string_view external_id) const {
    if (store_.assignment_cancel) store_.assignment_cancel(table().context, instance(), str(external_id));
  }

  const otagate_storage_host& store_table() const { return store_; }

 private:
  const otagate_storage_host store_;
};

// One call of the gateway's while it runs.
class Call {
 public:
  Call(const StoreHost& host, otagate_call call) : host_(host), call_(call) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The call was cancelled or its deadline passed: return soon. What it ends with then does not matter.
  bool stopped() {
    if (!stopped_ && host_.table().poll)
      stopped_ = host_.table().poll(host_.table().context, call_) == OTAGATE_STOP;
    return stopped_;
  }
  std::uint64_t remaining_ms() const {
    return host_.table().remaining ? host_.table().remaining(host_.table().context, call_) : 30000;
  }

 protected:
  bool goes_on(std::uint32_t answer) {
    if (answer == OTAGATE_STOP) stopped_ = true;
    return !stopped_;
  }
  const StoreHost& host_;
  const otagate_call call_;

 private:
  bool stopped_ = false;
};

class ListSink : public Call {
 public:
  using Call::Call;
  // False: the call was cancelled, return.
  bool object(const Object& object) {
    const otagate_storage_host& table = host_.store_table();
    return object.with_struct([&](const otagate_object& out) {
      return goes_on(table.object ? table.object(host_.table().context, call_, &out) : OTAGATE_STOP);
    });
  }
  // There is another page, which begins with this cursor.
  void next(std::string cursor) { cursor_ = std::move(cursor); }
  const std::string& cursor() const { return cursor_; }

 private:
  std::string cursor_;
};

class FetchSink : public Call {
 public:
  using Call::Call;
  // What the answer's head says, before the first byte.
  bool begin(std::uint64_t total, std::string_view change_token = {}) {
    auto info = make_struct<otagate_fetch_info>();
    info.total = total;
    info.change_token = str(change_token);
    const otagate_storage_host& table = host_.store_table();
    return goes_on(table.begin ? table.begin(host_.table().context, call_, &info) : OTAGATE_CONTINUE);
  }
  // The next bytes. Blocks while the gateway is not ready for more. False: cancelled, return.
  bool write(const void* data, std::size_t size) {
    const otagate_storage_host& table = host_.store_table();
    const char* at = static_cast<const char*>(data);
    while (size > 0) {
      const std::size_t part = std::min<std::size_t>(size, OTAGATE_MESSAGE_MAX);
      if (!goes_on(table.sink ? table.sink(host_.table().context, call_, at, part) : OTAGATE_STOP))
        return false;
      at += part;
      size -= part;
    }
    return true;
  }
  bool write(std::span<const std::byte> data) { return write(data.data(), data.size()); }
};

// A store. Calls come on threads of the gateway's pool and may block; one at a time unless the
// plugin said thread_safe. A call ends when it returns, or with the Failure it throws.
class Store {
 public:
  using Kind = Store;
  using HostType = StoreHost;
  static constexpr std::string_view kInterface = OTAGATE_STORAGE_1;

  virtual ~Store() = default;

  virtual Caps caps() { return {}; }
  // One page: sink.object() for each, sink.next() when there are more.
  virtual void list(const ListRequest& request, ListSink& sink) = 0;
  // sink.begin() once, then sink.write() in order.
  virtual void fetch(const FetchRequest& request, FetchSink& sink) = 0;
  virtual Object stat(std::string_view /*key*/, Call&) { unsupported("stat"); }
  virtual std::string presign(const PresignRequest&, Call&) { unsupported("presign"); }
  virtual Object publish(const PublishRequest&, Call&) { unsupported("publish"); }
  virtual void watch(std::string_view /*device*/, const Pairs& /*attributes*/, Call&) {
    unsupported("watch");
  }
  virtual void unwatch(std::string_view /*device*/, Call&) { unsupported("unwatch"); }
  virtual void feedback(const Feedback&, Call&) { unsupported("feedback"); }

  // For Entry, not for plugins.
  void bind(StoreHost& host, void* owner) {
    host_ = &host;
    owner_ = owner;
  }
  void* owner() const { return owner_; }
  template <class>
  static const void* table();

 private:
  [[noreturn]] static void unsupported(const char* what) {
    throw Failure(OTAGATE_UNSUPPORTED, std::string("this store has no ") + what);
  }

  // Runs one call and completes it, once, whatever happens.
  template <class CallType, class F>
  static void run(void* self, otagate_call call, F work) noexcept {
    auto* store = static_cast<Store*>(self);
    const StoreHost& host = *store->host_;
    CallType context(host, call);
    auto out = make_struct<otagate_completion>();
    auto send = [&](const void* result) {
      if (context.stopped()) {
        out.status = OTAGATE_CANCELLED;
        result = nullptr;
      }
      out.result = result;
      if (host.table().complete) host.table().complete(host.table().context, call, &out);
    };
    bool sent = false;
    detail::caught(
        [&] {
          work(*store, context, [&](const void* result) {
            sent = true;
            send(result);
          });
        },
        [&](std::uint32_t status, std::string_view message, std::uint64_t retry_after_ms) {
          if (sent) return;
          sent = true;
          out.status = status;
          out.retry_after_ms = retry_after_ms;
          out.message = str(message);
          send(nullptr);
        });
  }

  static bool deliver(const StoreHost& host, otagate_call call, const Object& object) {
    return object.with_struct([&](const otagate_object& out) {
      return host.store_table().object &&
             host.store_table().object(host.table().context, call, &out) == OTAGATE_CONTINUE;
    });
  }

  StoreHost* host_ = nullptr;
  void* owner_ = nullptr;
};

template <class>
const void* Store::table() {
  static const otagate_storage functions = [] {
    auto out = make_struct<otagate_storage>();
    out.caps = [](void* self, otagate_store_caps* caps) {
      detail::caught(
          [&] {
            const Caps said = static_cast<Store*>(self)->caps();
            auto value = make_struct<otagate_store_caps>();
            value.flags = said.flags;
            value.min_segment = said.min_segment;
            value.parallel = said.parallel;
            write_struct(caps, value);
          },
          [](std::uint32_t, std::string_view, std::uint64_t) {});
    };
    out.list = [](void* self, otagate_call call, const otagate_list_request* raw) {
      run<ListSink>(self, call, [&](Store& store, ListSink& sink, auto done) {
        const auto request = read_struct<otagate_list_request>(raw);
        store.list({view(request.cursor), request.limit}, sink);
        auto result = make_struct<otagate_list_result>();
        result.cursor = str(sink.cursor());
        done(&result);
      });
    };
    out.stat = [](void* self, otagate_call call, const otagate_stat_request* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto request = read_struct<otagate_stat_request>(raw);
        deliver(*store.host_, call, store.stat(view(request.key), context));
        done(nullptr);
      });
    };
    out.fetch = [](void* self, otagate_call call, const otagate_fetch_request* raw) {
      run<FetchSink>(self, call, [&](Store& store, FetchSink& sink, auto done) {
        const auto request = read_struct<otagate_fetch_request>(raw);
        store.fetch({view(request.key), view(request.locator), view(request.change_token), request.offset,
                     request.length},
                    sink);
        done(nullptr);
      });
    };
    out.presign = [](void* self, otagate_call call, const otagate_presign_request* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto request = read_struct<otagate_presign_request>(raw);
        const std::string url = store.presign({view(request.key), view(request.change_token),
                                               request.method == OTAGATE_METHOD_HEAD, request.expiry_ms},
                                              context);
        auto result = make_struct<otagate_presigned>();
        result.url = str(url);
        done(&result);
      });
    };
    out.publish = [](void* self, otagate_call call, const otagate_publish_request* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto request = read_struct<otagate_publish_request>(raw);
        deliver(*store.host_, call,
                store.publish({request.fd, request.blob_size, view(request.sha256), view(request.key),
                               unpack(view(request.metadata))},
                              context));
        done(nullptr);
      });
    };
    out.watch = [](void* self, otagate_call call, const otagate_watch_request* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto request = read_struct<otagate_watch_request>(raw);
        store.watch(view(request.device), unpack(view(request.attributes)), context);
        done(nullptr);
      });
    };
    out.unwatch = [](void* self, otagate_call call, const otagate_watch_request* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto request = read_struct<otagate_watch_request>(raw);
        store.unwatch(view(request.device), context);
        done(nullptr);
      });
    };
    out.feedback = [](void* self, otagate_call call, const otagate_feedback* raw) {
      run<Call>(self, call, [&](Store& store, Call& context, auto done) {
        const auto said = read_struct<otagate_feedback>(raw);
        store.feedback({said.kind, view(said.external_id), view(said.device), said.done, said.total,
                        said.at_ms, said.code, view(said.message)},
                       context);
        done(nullptr);
      });
    };
    return out;
  }();
  return &functions;
}

}  // namespace otagate::sdk

#include "plugin/storage_bridge.hpp"

#include <algorithm>
#include <cctype>

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxKey = 1024;
constexpr std::size_t kMaxToken = 1024;
constexpr std::size_t kMaxLocators = 8;
constexpr std::size_t kMaxObjectsBeyond = 1000;  // more than asked for that are taken all the same
constexpr std::uint32_t kMaxParts = 16;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <class T>
Task replying(Reply<T> reply, Result<T> result) {
  return [reply = std::move(reply), result = std::move(result)] { reply(result); };
}

}  // namespace

struct StorageBridge::ObjectsCall : OpenCall {
  std::size_t limit = 1;
  ListPage page;  // under mutex
};

struct StorageBridge::FetchCall : OpenCall {
  std::shared_ptr<FetchSink> sink;
  FetchRequest request;
};

struct StorageBridge::Building {
  std::mutex mutex;
  Assignment assignment;
  std::uint32_t parts = 0;
  bool broken = false;
};

std::optional<Object> to_object(const otagate_object* raw) {
  const auto in = read_struct<otagate_object>(raw);
  Object out;
  const auto key = borrowed(in.key, kMaxKey);
  const auto token = borrowed(in.change_token, kMaxToken);
  const auto sha256 = borrowed(in.sha256, 128);
  auto metadata = unpack_pairs(in.metadata);
  auto locators = unpack_words(in.locators, kMaxLocators);
  if (!key || key->empty() || key->find('\0') != std::string_view::npos || !token || !sha256 || !metadata ||
      !locators)
    return std::nullopt;
  out.key = *key;
  out.change_token = *token;
  if (!sha256->empty()) {
    out.sha256 = Digest::parse(*sha256);
    if (!out.sha256) return std::nullopt;
  }
  if (in.object_size != OTAGATE_SIZE_UNKNOWN) out.size = in.object_size;
  out.flags = in.flags;
  out.modified_ms = in.modified_ms;
  for (auto& [name, value] : *metadata) out.metadata.emplace_back(lower(std::move(name)), std::move(value));
  out.locators = std::move(*locators);
  return out;
}

// The functions of otagate_storage_host.
struct StorageHostFunctions {
  static std::shared_ptr<StorageBridge> owner(void* context) {
    return std::static_pointer_cast<StorageBridge>(instance_of(context));
  }
  static std::uint32_t object(void* context, otagate_call call, const otagate_object* object) noexcept {
    auto self = owner(context);
    return self ? self->object(call, object) : OTAGATE_STOP;
  }
  static std::uint32_t begin(void* context, otagate_call call, const otagate_fetch_info* info) noexcept {
    auto self = owner(context);
    return self ? self->begin(call, info) : OTAGATE_STOP;
  }
  static std::uint32_t sink(void* context, otagate_call call, const void* data, std::uint64_t size) noexcept {
    auto self = owner(context);
    return self ? self->sink(call, data, size) : OTAGATE_STOP;
  }
  static void changed(void* context, otagate_instance, otagate_str key) noexcept {
    auto self = owner(context);
    if (!self) return;
    const auto text = borrowed(key, kMaxKey);
    self->listener_.changed(self->name(), text ? *text : std::string_view());
  }
  static std::uint64_t assignment(void* context, otagate_instance,
                                  const otagate_assignment* assignment) noexcept {
    auto self = owner(context);
    return self ? self->assignment(assignment) : 0;
  }
  static void assignment_part(void* context, std::uint64_t handle,
                              const otagate_assignment_part* part) noexcept {
    if (auto self = owner(context)) self->assignment_part(handle, part);
  }
  static void assignment_commit(void* context, std::uint64_t handle) noexcept {
    if (auto self = owner(context)) self->assignment_commit(handle);
  }
  static void assignment_cancel(void* context, otagate_instance, otagate_str external_id) noexcept {
    auto self = owner(context);
    const auto id = borrowed(external_id, kMaxKey);
    if (self && id) self->listener_.unassigned(self->name(), *id);
  }
};

StorageBridge::StorageBridge(InstanceSpec spec, std::shared_ptr<const Library> library,
                             Surroundings surroundings, StorageListener& listener)
    : InstanceBase(std::move(spec), OTAGATE_STORAGE_1, std::move(library), std::move(surroundings)),
      listener_(listener) {}

Result<void> StorageBridge::start() {
  if (auto made = create(); !made) return made;
  // It returns at once by contract, so it is asked here and not on a lane.
  if (table().caps) {
    auto raw = make_struct<otagate_store_caps>();
    if (!in_plugin("caps", [&] { table().caps(plugin_self(), &raw); }))
      return fail(Code::internal, state().failed());
    caps_.flags = raw.flags;
    caps_.min_segment = raw.min_segment;
    caps_.parallel = std::max(1u, raw.parallel);
  }
  return {};
}

const void* StorageBridge::host_interface(std::string_view id) {
  static const otagate_storage_host functions = [] {
    auto out = make_struct<otagate_storage_host>();
    out.object = &StorageHostFunctions::object;
    out.begin = &StorageHostFunctions::begin;
    out.sink = &StorageHostFunctions::sink;
    out.changed = &StorageHostFunctions::changed;
    out.assignment = &StorageHostFunctions::assignment;
    out.assignment_part = &StorageHostFunctions::assignment_part;
    out.assignment_commit = &StorageHostFunctions::assignment_commit;
    out.assignment_cancel = &StorageHostFunctions::assignment_cancel;
    return out;
  }();
  return id == OTAGATE_STORAGE_HOST_1 ? &functions : nullptr;
}

void StorageBridge::plugin_cancel(void* self, otagate_call call) {
  if (table().cancel) table().cancel(self, call);
}

// ---------------------------------------------------------------- calls

CallId StorageBridge::list(std::string cursor, std::uint32_t limit, milliseconds timeout,
                           Reply<ListPage> reply) {
  auto call = std::make_shared<ObjectsCall>();
  call->what = "list";
  call->timeout = timeout;
  call->limit = limit + kMaxObjectsBeyond;
  call->finish = [call = call.get(), reply = std::move(reply)](Result<const void*> result) -> Task {
    if (!result) return replying<ListPage>(reply, fail(result.error()));
    const auto raw = read_struct<otagate_list_result>(*result);
    const auto next = borrowed(raw.cursor, 8192);
    if (!next)
      return replying<ListPage>(reply, fail(Code::internal, "the store's cursor is longer than 8 KiB"));
    call->page.cursor = *next;
    return replying<ListPage>(reply, std::move(call->page));
  };
  return submit(call, [this, cursor = std::move(cursor), limit](void* self, otagate_call handle) {
    auto request = make_struct<otagate_list_request>();
    request.limit = limit;
    request.cursor = to_str(cursor);
    table().list(self, handle, &request);
  });
}

template <class Request, class Fill>
CallId StorageBridge::one_object(const char* what, Function<Request> function, milliseconds timeout,
                                 Fill fill, Reply<Object> reply) {
  if (!function) {
    dispatcher().post(
        replying<Object>(std::move(reply), otagate::fail(Code::unsupported, name() + " has no " + what)));
    return 0;
  }
  auto call = std::make_shared<ObjectsCall>();
  call->what = what;
  call->timeout = timeout;
  call->finish = [call = call.get(), reply = std::move(reply), what](Result<const void*> result) -> Task {
    if (!result) return replying<Object>(reply, fail(result.error()));
    if (call->page.objects.empty())
      return replying<Object>(reply,
                              fail(Code::internal, std::string(what) + " succeeded without an object"));
    return replying<Object>(reply, std::move(call->page.objects.front()));
  };
  return submit(call, [function, fill = std::move(fill)](void* self, otagate_call handle) {
    auto request = make_struct<Request>();
    fill(request, [&] { function(self, handle, &request); });
  });
}

CallId StorageBridge::stat(std::string key, milliseconds timeout, Reply<Object> reply) {
  return one_object<otagate_stat_request>(
      "stat", table().stat, timeout,
      [key = std::move(key)](otagate_stat_request& request, auto go) {
        request.key = to_str(key);
        go();
      },
      std::move(reply));
}

CallId StorageBridge::publish(PublishRequest in, milliseconds timeout, Reply<Object> reply) {
  return one_object<otagate_publish_request>(
      "publish", table().publish, timeout,
      [in = std::move(in)](otagate_publish_request& request, auto go) {
        const std::string metadata = pack_pairs(in.metadata);
        request.fd = in.fd;
        request.blob_size = in.size;
        request.sha256 = to_str(in.sha256);
        request.key = to_str(in.key);
        request.metadata = to_str(metadata);
        go();
      },
      std::move(reply));
}

CallId StorageBridge::fetch(FetchRequest request, milliseconds timeout, std::shared_ptr<FetchSink> sink,
                            Reply<void> reply) {
  auto call = std::make_shared<FetchCall>();
  call->what = "fetch";
  call->timeout = timeout;
  call->sink = std::move(sink);
  call->request = std::move(request);
  call->finish = [reply = std::move(reply)](Result<const void*> result) -> Task {
    if (!result) return replying<void>(reply, fail(result.error()));
    return replying<void>(reply, {});
  };
  const FetchRequest& in = call->request;
  return submit(
      call,
      [this, &in](void* self, otagate_call handle) {
        auto raw = make_struct<otagate_fetch_request>();
        raw.key = to_str(in.key);
        raw.locator = to_str(in.locator);
        raw.change_token = to_str(in.change_token);
        raw.offset = in.offset;
        raw.length = in.length;
        table().fetch(self, handle, &raw);
      },
      true);
}

CallId StorageBridge::presign(std::string key, std::string change_token, bool head, milliseconds expiry,
                              milliseconds timeout, Reply<std::string> reply) {
  if (!table().presign) {
    dispatcher().post(
        replying<std::string>(std::move(reply), fail(Code::unsupported, name() + " has no presign")));
    return 0;
  }
  auto call = std::make_shared<OpenCall>();
  call->what = "presign";
  call->timeout = timeout;
  call->finish = [reply = std::move(reply)](Result<const void*> result) -> Task {
    if (!result) return replying<std::string>(reply, fail(result.error()));
    const auto raw = read_struct<otagate_presigned>(*result);
    const auto url = borrowed(raw.url, 16384);
    if (!url || url->empty())
      return replying<std::string>(reply, fail(Code::internal, "presign gave no usable URL"));
    return replying<std::string>(reply, std::string(*url));
  };
  return submit(call, [this, key = std::move(key), change_token = std::move(change_token), head, expiry](
                          void* self, otagate_call handle) {
    auto request = make_struct<otagate_presign_request>();
    request.method = head ? OTAGATE_METHOD_HEAD : OTAGATE_METHOD_GET;
    request.key = to_str(key);
    request.change_token = to_str(change_token);
    request.expiry_ms = static_cast<std::uint64_t>(expiry.count());
    table().presign(self, handle, &request);
  });
}

template <class Request, class Fill>
CallId StorageBridge::simple(const char* what, Function<Request> function, milliseconds timeout, Fill fill,
                             Reply<void> reply) {
  if (!function) {
    dispatcher().post(
        replying<void>(std::move(reply), otagate::fail(Code::unsupported, name() + " has no " + what)));
    return 0;
  }
  auto call = std::make_shared<OpenCall>();
  call->what = what;
  call->timeout = timeout;
  call->finish = [reply = std::move(reply)](Result<const void*> result) -> Task {
    if (!result) return replying<void>(reply, otagate::fail(result.error()));
    return replying<void>(reply, {});
  };
  return submit(call, [function, fill = std::move(fill)](void* self, otagate_call handle) {
    auto request = make_struct<Request>();
    fill(request, [&] { function(self, handle, &request); });
  });
}

CallId StorageBridge::watch(std::string device, Pairs attributes, milliseconds timeout, Reply<void> reply) {
  return simple<otagate_watch_request>(
      "watch", table().watch, timeout,
      [device = std::move(device), packed = pack_pairs(attributes)](otagate_watch_request& request, auto go) {
        request.device = to_str(device);
        request.attributes = to_str(packed);
        go();
      },
      std::move(reply));
}

CallId StorageBridge::unwatch(std::string device, milliseconds timeout, Reply<void> reply) {
  return simple<otagate_watch_request>(
      "unwatch", table().unwatch, timeout,
      [device = std::move(device)](otagate_watch_request& request, auto go) {
        request.device = to_str(device);
        go();
      },
      std::move(reply));
}

CallId StorageBridge::feedback(Feedback in, milliseconds timeout, Reply<void> reply) {
  return simple<otagate_feedback>(
      "feedback", table().feedback, timeout,
      [in = std::move(in)](otagate_feedback& request, auto go) {
        request.kind = in.kind;
        request.external_id = to_str(in.external_id);
        request.device = to_str(in.device);
        request.done = in.done;
        request.total = in.total;
        request.at_ms = in.at_ms;
        request.code = in.code;
        request.message = to_str(in.message);
        go();
      },
      std::move(reply));
}

void StorageBridge::resume(CallId handle) {
  const auto call = find_call(handle);
  if (!call) return;
  {
    std::lock_guard lock((*call)->mutex);
    (*call)->resumed = true;
    (*call)->changed.notify_all();
    // Who is in the sink sees the flag.
    if ((*call)->in_sink || (*call)->ended) return;
  }
  if (library().blocking() || !table().resume) return;
  lanes().reply([self = shared_as<StorageBridge>(), handle] {
    self->in_plugin("resume", [&] { self->table().resume(self->plugin_self(), handle); });
  });
}

// ---------------------------------------------------------------- what the plugin hands over

std::uint32_t StorageBridge::object(otagate_call handle, const otagate_object* raw) {
  const auto found = find_call(handle);
  auto* call = found ? dynamic_cast<ObjectsCall*>(found->get()) : nullptr;
  if (!call) {
    ++state().counters.stray;
    return OTAGATE_STOP;
  }
  std::optional<Object> object = to_object(raw);
  std::lock_guard lock(call->mutex);
  if (!takes(*call)) return OTAGATE_STOP;
  if (!object) {
    ++state().counters.oversize;
    ++call->page.unreadable;
    state().complain("an object has no key, one longer than 1,024 bytes, or more than 64 KiB of metadata");
    return OTAGATE_CONTINUE;
  }
  if (call->page.objects.size() >= call->limit) {
    ++state().counters.oversize;
    call->broken = Error(Code::internal, name() + " listed many more objects than a page may have");
    return OTAGATE_STOP;
  }
  call->page.objects.push_back(std::move(*object));
  return OTAGATE_CONTINUE;
}

template <class Take>
std::uint32_t StorageBridge::into_sink(otagate_call handle, std::uint64_t size, Take take) {
  const auto found = find_call(handle);
  auto* call = found ? dynamic_cast<FetchCall*>(found->get()) : nullptr;
  if (!call) {
    ++state().counters.stray;
    return OTAGATE_STOP;
  }
  {
    std::lock_guard lock(call->mutex);
    if (!takes(*call)) return OTAGATE_STOP;
    if (size > OTAGATE_MESSAGE_MAX || call->in_sink) {
      ++state().counters.oversize;
      call->broken = Error(Code::internal, size > OTAGATE_MESSAGE_MAX
                                               ? name() + " passed more than 64 KiB to the sink at a time"
                                               : name() + " called the sink of one fetch twice at a time");
      state().complain(call->broken->message());
      return OTAGATE_STOP;
    }
    call->in_sink = true;
    call->resumed = false;
  }
  const SinkAnswer answer = take(*call->sink);
  std::unique_lock lock(call->mutex);
  if (answer == SinkAnswer::pause && library().blocking())
    call->changed.wait(lock, [&] { return call->resumed || call->stopped || call->ended; });
  call->in_sink = false;
  call->deadline = OpenCall::Clock::now() + call->timeout;
  if (call->deferred) dispatcher().post(std::exchange(call->deferred, nullptr));
  if (answer == SinkAnswer::stop || !takes(*call)) return OTAGATE_STOP;
  return answer == SinkAnswer::pause && !call->resumed ? OTAGATE_PAUSE : OTAGATE_CONTINUE;
}

std::uint32_t StorageBridge::begin(otagate_call handle, const otagate_fetch_info* raw) {
  const auto in = read_struct<otagate_fetch_info>(raw);
  FetchInfo info;
  if (in.total != OTAGATE_SIZE_UNKNOWN) info.total = in.total;
  if (const auto token = borrowed(in.change_token, kMaxToken)) info.change_token = *token;
  return into_sink(handle, 0, [&](FetchSink& sink) { return sink.begin(info); });
}

std::uint32_t StorageBridge::sink(otagate_call handle, const void* data, std::uint64_t size) {
  return into_sink(handle, size, [&](FetchSink& sink) {
    return sink.bytes(std::span(static_cast<const std::byte*>(data), static_cast<std::size_t>(size)));
  });
}

// ---------------------------------------------------------------- assignments

std::uint64_t StorageBridge::assignment(const otagate_assignment* raw) {
  const auto in = read_struct<otagate_assignment>(raw);
  const auto id = borrowed(in.external_id, kMaxKey);
  const auto device = borrowed(in.device, kMaxKey);
  if (!id || id->empty() || !device || device->empty() || in.parts == 0 || in.parts > kMaxParts) {
    state().complain("an assignment has no external id, no device, or not 1 to 16 parts");
    return 0;
  }
  auto building = std::make_shared<Building>();
  building->parts = in.parts;
  building->assignment.external_id = *id;
  building->assignment.device = *device;
  building->assignment.mode = in.mode;
  building->assignment.window = in.window;
  building->assignment.not_before_ms = in.not_before_ms;
  building->assignment.needs_confirm = in.needs_confirm != 0;
  return building_.insert(std::move(building));
}

void StorageBridge::assignment_part(std::uint64_t handle, const otagate_assignment_part* raw) {
  const auto building = building_.find(handle);
  if (!building) {
    ++state().counters.stray;
    return;
  }
  const auto in = read_struct<otagate_assignment_part>(raw);
  const auto component = borrowed(in.component, kMaxKey);
  const auto part_name = borrowed(in.name, kMaxKey);
  const auto version = borrowed(in.version, kMaxKey);
  auto params = unpack_pairs(in.params);
  auto object = to_object(in.object);
  std::lock_guard lock((*building)->mutex);
  auto& parts = (*building)->assignment.parts;
  if (!component || !part_name || !version || !params || !object || in.index != parts.size() ||
      parts.size() >= (*building)->parts) {
    (*building)->broken = true;
    return;
  }
  parts.push_back({std::string(*component), std::string(*part_name), std::string(*version),
                   std::move(*params), std::move(*object)});
}

void StorageBridge::assignment_commit(std::uint64_t handle) {
  const auto building = building_.take(handle);
  if (!building) {
    ++state().counters.stray;
    return;
  }
  std::lock_guard lock((*building)->mutex);
  if ((*building)->broken || (*building)->assignment.parts.size() != (*building)->parts) {
    state().complain("an assignment was committed without all its parts, or with one that breaks a bound");
    return;
  }
  listener_.assigned(name(), std::move((*building)->assignment));
}

}  // namespace otagate::plugin

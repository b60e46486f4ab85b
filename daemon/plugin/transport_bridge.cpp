#include "plugin/transport_bridge.hpp"

#include <algorithm>

namespace otagate::plugin {

using std::chrono::milliseconds;

// The functions of otagate_transport_host.
struct TransportHostFunctions {
  static std::shared_ptr<TransportBridge> owner(void* context) {
    return std::static_pointer_cast<TransportBridge>(instance_of(context));
  }
  static const otagate_board* board(void* context, otagate_instance) noexcept {
    auto self = owner(context);
    return self ? self->board_.get() : nullptr;
  }
  static otagate_call check_credential(void* context, otagate_instance, const otagate_credential* credential,
                                       const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->check_credential(credential, reply) : 0;
  }
  static otagate_call psk(void* context, otagate_instance, otagate_str identity,
                          const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->psk(identity, reply) : 0;
  }
  static otagate_call resolve(void* context, otagate_instance, const otagate_resolve_request* request,
                              const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->resolve(request, reply) : 0;
  }
  static otagate_call catalog(void* context, otagate_instance, const otagate_catalog_request* request,
                              const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->catalog(request, reply) : 0;
  }
  static otagate_call blob_open(void* context, otagate_instance, const otagate_open_request* request,
                                const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->blob_open(request, reply) : 0;
  }
  static otagate_call blob_want(void* context, otagate_instance, const otagate_want_request* request,
                                const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->blob_want(request, reply) : 0;
  }
  static void blob_close(void* context, otagate_instance, otagate_reader reader) noexcept {
    if (auto self = owner(context)) self->blob_close(reader);
  }
  static otagate_call presign(void* context, otagate_instance, const otagate_redirect_request* request,
                              const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->presign(request, reply) : 0;
  }
  static otagate_call check_in(void* context, otagate_instance, const otagate_check_in* check_in,
                               const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->check_in(check_in, reply) : 0;
  }
  static std::uint32_t offer_part(void* context, otagate_instance, std::uint64_t attempt, std::uint32_t index,
                                  otagate_offer_part* part) noexcept {
    auto self = owner(context);
    return self ? self->offer_part(attempt, index, part) : OTAGATE_NOT_FOUND;
  }
  static otagate_call progress(void* context, otagate_instance, const otagate_progress* progress,
                               const otagate_reply* reply) noexcept {
    auto self = owner(context);
    return self ? self->progress(progress, reply) : 0;
  }
  static void blob_bad(void* context, otagate_instance, otagate_reader reader, otagate_str why) noexcept {
    if (auto self = owner(context)) self->blob_bad(reader, why);
  }
};

TransportBridge::TransportBridge(InstanceSpec spec, std::shared_ptr<const Library> library,
                                 Surroundings surroundings, TransportServices& services)
    : InstanceBase(std::move(spec), OTAGATE_TRANSPORT_1, std::move(library), std::move(surroundings)),
      services_(services) {}

const void* TransportBridge::host_interface(std::string_view id) {
  static const otagate_transport_host functions = [] {
    auto out = make_struct<otagate_transport_host>();
    out.board = &TransportHostFunctions::board;
    out.check_credential = &TransportHostFunctions::check_credential;
    out.psk = &TransportHostFunctions::psk;
    out.resolve = &TransportHostFunctions::resolve;
    out.catalog = &TransportHostFunctions::catalog;
    out.blob_open = &TransportHostFunctions::blob_open;
    out.blob_want = &TransportHostFunctions::blob_want;
    out.blob_close = &TransportHostFunctions::blob_close;
    out.presign = &TransportHostFunctions::presign;
    out.check_in = &TransportHostFunctions::check_in;
    out.offer_part = &TransportHostFunctions::offer_part;
    out.progress = &TransportHostFunctions::progress;
    out.blob_bad = &TransportHostFunctions::blob_bad;
    return out;
  }();
  return id == OTAGATE_TRANSPORT_HOST_1 ? &functions : nullptr;
}

void TransportBridge::plugin_cancel(void* self, otagate_call handle) {
  if (table().cancel) table().cancel(self, handle);
}

void TransportBridge::call(const char* what, milliseconds timeout, Invoke invoke, Reply<void> reply,
                           During during) {
  auto open = std::make_shared<OpenCall>();
  open->what = what;
  open->timeout = timeout;
  open->finish = [reply = std::move(reply)](Result<const void*> result) -> Task {
    Result<void> out;
    if (!result) out = fail(result.error());
    return [reply, out] { reply(out); };
  };
  submit(open, std::move(invoke), false, during);
}

void TransportBridge::start(milliseconds timeout, Reply<void> reply) {
  call(
      "start", timeout, [this](void* self, otagate_call handle) { table().start(self, handle); },
      std::move(reply));
}

void TransportBridge::reload(milliseconds timeout, Reply<void> reply) {
  if (!table().reload) {
    dispatcher().post([reply = std::move(reply)] { reply({}); });
    return;
  }
  call(
      "reload", timeout, [this](void* self, otagate_call handle) { table().reload(self, handle); },
      std::move(reply));
}

void TransportBridge::nudge(std::string device) {
  if (!table().nudge) return;
  tell("nudge", [this, device = std::move(device)](void* self) { table().nudge(self, to_str(device)); });
}

void TransportBridge::revoke(std::uint64_t attempt, std::uint32_t reason) {
  tell("revoke", [this, attempt, reason](void* self) {
    if (table().revoke) table().revoke(self, attempt, reason);
    forget_offer(attempt);
  });
}

void TransportBridge::catalog_changed() {
  board_.bump_catalog();
  if (!table().catalog_changed || hint_queued_.exchange(true)) return;
  // At most one a second; what changes until then is in that one.
  dispatcher().after(milliseconds(1000), [weak = weak_from_this()] {
    auto self = std::static_pointer_cast<TransportBridge>(weak.lock());
    if (!self) return;
    self->hint_queued_ = false;
    self->tell("catalog_changed", [raw = self.get()](void* plugin) { raw->table().catalog_changed(plugin); });
  });
}

void TransportBridge::close(milliseconds drain, std::function<void()> done) {
  const milliseconds grace = std::min<milliseconds>(drain, milliseconds(10'000)) + milliseconds(2'000);
  close_instance(grace, std::move(done), [self = shared_as<TransportBridge>(), drain](Task rest) {
    self->call(
        "stop", drain + milliseconds(1'000),
        [self, drain](void* plugin, otagate_call handle) {
          self->table().stop(plugin, handle, static_cast<std::uint64_t>(drain.count()));
        },
        [rest = std::move(rest)](const Result<void>&) { rest(); }, During::closing);
  });
}

void TransportBridge::take_back() {
  for (const auto& [handle, open] : readers_.all()) readers_.take(handle);
  std::lock_guard lock(offers_mutex_);
  offers_.clear();
}

}  // namespace otagate::plugin

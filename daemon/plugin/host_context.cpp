#include "plugin/host_context.hpp"

#include <atomic>
#include <deque>
#include <mutex>
#include <type_traits>

#include "plugin/instance_base.hpp"

namespace otagate::plugin {

// The functions of otagate_host. Nothing may be thrown into the plugin that calls them: running out of
// memory is the only thing that could be, and ends the process.
struct HostFunctions {
  static void complete(void* context, otagate_call call, const otagate_completion* completion) noexcept {
    if (auto owner = instance_of(context)) owner->complete(call, completion);
  }
  static std::uint32_t poll(void* context, otagate_call call) noexcept {
    auto owner = instance_of(context);
    return owner ? owner->poll(call) : OTAGATE_STOP;
  }
  static std::uint32_t option(void* context, otagate_instance, otagate_str path,
                              otagate_value* value) noexcept {
    auto owner = instance_of(context);
    return owner ? owner->option(path, value) : OTAGATE_NOT_FOUND;
  }
  static void log(void* context, otagate_instance, std::uint32_t level, otagate_str message) noexcept {
    if (auto owner = instance_of(context)) owner->plugin_log(level, message);
  }
  static void event(void* context, otagate_instance, const otagate_event* event) noexcept {
    if (auto owner = instance_of(context)) owner->plugin_event(event);
  }
  static void metric(void* context, otagate_instance, otagate_str name, std::uint32_t kind,
                     double value) noexcept {
    auto owner = instance_of(context);
    if (!owner) return;
    const auto text = borrowed(name);
    if (!text || !owner->state_.metric(*text, kind == 1, value))
      owner->state_.complain("a metric's name is not [a-z][a-z0-9_]*, or it is the 65th");
  }
  static otagate_call timer(void* context, otagate_instance, std::uint64_t delay_ms,
                            const otagate_reply* reply) noexcept {
    auto owner = instance_of(context);
    return owner ? owner->timer(delay_ms, reply) : 0;
  }
  static void cancel(void* context, otagate_instance, otagate_call call) noexcept {
    if (auto owner = instance_of(context)) owner->cancel_asked(call);
  }
  static void health(void* context, otagate_instance, std::uint32_t status, otagate_str message) noexcept {
    if (auto owner = instance_of(context)) owner->state_.health(status, message_text(message));
  }
  static const void* interface(void* context, const char* id) noexcept {
    auto owner = instance_of(context);
    return owner && id ? owner->host_interface(id) : nullptr;
  }
  static std::int64_t now(void* context, std::uint32_t* synchronised) noexcept {
    bool sure = false;
    std::int64_t out = 0;
    if (auto owner = instance_of(context)) out = owner->listener().now_ms(sure);
    if (synchronised) *synchronised = sure ? 1 : 0;
    return out;
  }
  static std::uint64_t remaining(void* context, otagate_call call) noexcept {
    auto owner = instance_of(context);
    return owner ? owner->remaining(call) : 0;
  }
};

HostContext* make_host_context(const std::shared_ptr<InstanceBase>& owner) {
  static std::mutex mutex;
  static auto& all = *new std::deque<HostContext>();  // never destroyed: plugins may call at exit
  static std::atomic<otagate_instance> next{0};

  std::lock_guard lock(mutex);
  HostContext& out = all.emplace_back();
  // A generation in the upper half, so that it is not mistaken for an index.
  const otagate_instance number = ++next;
  out.instance = number << 32 | number;
  out.owner = owner;
  out.table.size = sizeof out.table;
  out.table.abi_minor = OTAGATE_ABI_MINOR;
  out.table.context = &out;
  out.table.complete = &HostFunctions::complete;
  out.table.poll = &HostFunctions::poll;
  out.table.option = &HostFunctions::option;
  out.table.log = &HostFunctions::log;
  out.table.event = &HostFunctions::event;
  out.table.metric = &HostFunctions::metric;
  out.table.timer = &HostFunctions::timer;
  out.table.cancel = &HostFunctions::cancel;
  out.table.health = &HostFunctions::health;
  out.table.interface = &HostFunctions::interface;
  out.table.now = &HostFunctions::now;
  out.table.remaining = &HostFunctions::remaining;
  return &out;
}

std::shared_ptr<InstanceBase> instance_of(void* context) {
  return context ? static_cast<HostContext*>(context)->owner.lock() : nullptr;
}

}  // namespace otagate::plugin

// The plugin's side of an instance: what the functions of the host's table do.
#include <algorithm>

#include "core/log.hpp"
#include "plugin/instance_base.hpp"

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTimers = 1024;
constexpr std::size_t kMaxOptions = 4096;

}  // namespace

void InstanceBase::complete(otagate_call handle, const otagate_completion* raw) {
  const auto taken = calls_.take(handle);
  if (!taken) {
    ++state_.counters.stray;
    state_.complain("it completed a call twice, or one that was never made");
    return;
  }
  OpenCall& call = **taken;
  const auto completion = read_struct<otagate_completion>(raw);
  {
    std::lock_guard lock(call.mutex);
    dispatcher().cancel(call.timer);
    if (call.ended) {
      ++state_.counters.late;
    } else {
      ++(call.cancelled ? state_.counters.cancelled : state_.counters.completed);
      if (call.broken)
        end(call, fail(*call.broken));
      else if (completion.status == OTAGATE_OK)
        end(call, completion.result);
      else
        end(call, fail(to_error(completion)));
    }
  }
  state_.came_back(handle);
  call_left();
}

std::uint32_t InstanceBase::poll(otagate_call handle) const {
  const auto call = calls_.find(handle);
  if (!call) return OTAGATE_STOP;
  std::lock_guard lock((*call)->mutex);
  return takes(**call) ? OTAGATE_CONTINUE : OTAGATE_STOP;
}

std::uint64_t InstanceBase::remaining(otagate_call handle) const {
  const auto call = calls_.find(handle);
  if (!call) return 0;
  std::lock_guard lock((*call)->mutex);
  if (!takes(**call)) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, (*call)->left().count()));
}

std::uint32_t InstanceBase::option(const otagate_str& path, otagate_value* value) {
  auto out = make_struct<otagate_value>();
  const auto key = borrowed(path, 1024);
  const OptionValue* found = nullptr;
  if (key && spec_.options) {
    std::lock_guard lock(options_mutex_);
    auto known = options_.find(*key);
    if (known == options_.end() && options_.size() < kMaxOptions) {
      auto looked_up = std::make_unique<OptionValue>(spec_.options->lookup(*key));
      if (looked_up->kind == OptionValue::Kind::table) {
        looked_up->string.clear();
        for (const std::string& name : looked_up->keys)
          looked_up->string.append(name.c_str()).push_back('\0');
        looked_up->integer = static_cast<std::int64_t>(looked_up->keys.size());
      }
      if (looked_up->kind != OptionValue::Kind::none)
        known = options_.emplace(std::string(*key), std::move(looked_up)).first;
    }
    if (known != options_.end()) found = known->second.get();
  }
  if (found) {
    switch (found->kind) {
      case OptionValue::Kind::none: break;
      case OptionValue::Kind::string: out.kind = OTAGATE_VALUE_STRING; break;
      case OptionValue::Kind::integer: out.kind = OTAGATE_VALUE_INTEGER; break;
      case OptionValue::Kind::number: out.kind = OTAGATE_VALUE_NUMBER; break;
      case OptionValue::Kind::boolean: out.kind = OTAGATE_VALUE_BOOLEAN; break;
      case OptionValue::Kind::list: out.kind = OTAGATE_VALUE_LIST; break;
      case OptionValue::Kind::table: out.kind = OTAGATE_VALUE_TABLE; break;
    }
    out.string = to_str(found->string);
    out.integer = found->integer;
    out.number = found->number;
  }
  write_struct(value, out);
  return out.kind == OTAGATE_VALUE_NONE ? OTAGATE_NOT_FOUND : OTAGATE_OK;
}

void InstanceBase::plugin_log(std::uint32_t level, const otagate_str& message) const {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::trace, spdlog::level::debug,
                                                          spdlog::level::info, spdlog::level::warn,
                                                          spdlog::level::err};
  const auto out = kLevels[std::min<std::uint32_t>(level, OTAGATE_LOG_ERROR)];
  spdlog::logger& logger = log(spec_.name);
  if (logger.should_log(out)) logger.log(out, "{}", message_text(message));
}

void InstanceBase::plugin_event(const otagate_event* raw) const {
  const auto event = read_struct<otagate_event>(raw);
  const Severity severity = event.severity == OTAGATE_LOG_ERROR  ? Severity::error
                            : event.severity == OTAGATE_LOG_WARN ? Severity::warn
                                                                 : Severity::info;
  listener().event(spec_.name, severity, message_text(event.kind), message_text(event.subject),
                   message_text(event.message));
}

// ---------------------------------------------------------------- calls by the plugin

otagate_call InstanceBase::insert_asked(const otagate_reply* reply, otagate_reader reader, bool is_timer) {
  auto entry = std::make_shared<Asked>();
  entry->is_timer = is_timer;
  entry->reply = read_struct<otagate_reply>(reply);
  entry->reader = reader;
  if (!entry->reply.fn) {
    state_.complain("it asked for something without a reply function");
    return 0;
  }
  // Held while inserting, so that the end of the instance sees every call or refuses it.
  std::lock_guard lock(gate_mutex_);
  return asking_over_ ? 0 : asked_.insert(std::move(entry));
}

void InstanceBase::answer(otagate_call call, Deliver deliver) {
  const auto entry = asked_.take(call);
  if (!entry) return;
  if ((*entry)->is_timer) --timers_;
  lanes_.reply([self = shared_from_this(), reply = (*entry)->reply, deliver = std::move(deliver)] {
    self->in_plugin("reply", [&] { deliver(reply); });
  });
}

void InstanceBase::answer_status(otagate_call call, std::uint32_t status, std::string message) {
  answer(call, [status, message = std::move(message)](const otagate_reply& reply) {
    auto completion = make_struct<otagate_completion>();
    completion.status = status;
    completion.message = to_str(message);
    reply.fn(reply.context, &completion);
  });
}

otagate_call InstanceBase::timer(std::uint64_t delay_ms, const otagate_reply* reply) {
  if (timers_.fetch_add(1) >= kMaxTimers) {
    --timers_;
    return 0;
  }
  const otagate_call call = insert_asked(reply, 0, true);
  if (!call) {
    --timers_;
    return 0;
  }
  const auto entry = asked_.find(call);
  if (!entry) return call;  // cancelled already: the instance ends
  constexpr std::uint64_t kLongest = 366ull * 24 * 3600 * 1000;
  std::lock_guard lock((*entry)->mutex);
  (*entry)->timer =
      dispatcher().after(milliseconds(std::min(delay_ms, kLongest)), [weak = weak_from_this(), call] {
        if (auto self = weak.lock()) self->answer_status(call, OTAGATE_OK);
      });
  return call;
}

void InstanceBase::cancel_asked(otagate_call call) {
  const auto entry = asked_.find(call);
  if (!entry) return;
  {
    std::lock_guard lock((*entry)->mutex);
    if ((*entry)->timer) dispatcher().cancel(*(*entry)->timer);
  }
  answer_status(call, OTAGATE_CANCELLED, "cancelled");
}

}  // namespace otagate::plugin

// What the host of the kit offers a plugin: the functions of otagate_host and otagate_storage_host, each of
// which writes down what a plugin must not do.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "host_core.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::kit {

using sdk::make_struct;
using sdk::read_struct;
using sdk::str;
using sdk::view;
using sdk::write_struct;

namespace {

using Core = Instance::Core;

Core& core_of(void* context) { return *static_cast<Core*>(context); }

bool too_long(const otagate_str& text) { return text.size > OTAGATE_MESSAGE_MAX; }

void complete(void* context, otagate_call handle, const otagate_completion* raw) {
  Core& core = core_of(context);
  const auto call = core.find(handle);
  if (!call) return core.violation("it completed a call that was never made");
  const auto completion = read_struct<otagate_completion>(raw);
  if (too_long(completion.message)) return core.violation("a completion's message is longer than 64 KiB");
  if (completion.status > OTAGATE_PRECONDITION)
    core.violation("it completed with the unknown status " + std::to_string(completion.status));
  if (completion.status != OTAGATE_OK && completion.status != OTAGATE_CANCELLED &&
      completion.message.size == 0)
    core.violation("it completed with status " + std::to_string(completion.status) + " and no message");
  std::lock_guard lock(call->mutex);
  if (++call->completions > 1) {
    core.violation("it completed a call twice");
    return;
  }
  if (call->in_sink) core.violation("it completed a fetch while it was in the sink");
  call->ended.status = completion.status;
  call->ended.message = view(completion.message);
  call->ended.retry_after_ms = completion.retry_after_ms;
  if (completion.status == OTAGATE_OK && completion.result) {
    if (call->result == Call::Result::list)
      call->ended.text = view(read_struct<otagate_list_result>(completion.result).cursor);
    if (call->result == Call::Result::presign)
      call->ended.text = view(read_struct<otagate_presigned>(completion.result).url);
  }
  call->changed.notify_all();
}

std::uint32_t poll(void* context, otagate_call handle) {
  const auto call = core_of(context).find(handle);
  if (!call) return OTAGATE_STOP;
  std::lock_guard lock(call->mutex);
  return call->stopped || call->completions > 0 || Clock::now() >= call->deadline ? OTAGATE_STOP
                                                                                  : OTAGATE_CONTINUE;
}

std::uint64_t remaining(void* context, otagate_call handle) {
  const auto call = core_of(context).find(handle);
  if (!call) return 0;
  std::lock_guard lock(call->mutex);
  if (call->stopped) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<milliseconds>(call->deadline - Clock::now()).count()));
}

// "tls.ca_file", "keys.0": an element of a list by its index.
const toml::node* look_up(const toml::node& root, std::string_view path) {
  const toml::node* at = &root;
  while (at && !path.empty()) {
    const std::size_t end = std::min(path.find('.'), path.size());
    const std::string key(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    if (const auto* table = at->as_table()) {
      at = table->get(key);
    } else if (const auto* list = at->as_array()) {
      const bool digits =
          !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos;
      at = digits ? list->get(std::stoul(key)) : nullptr;
    } else {
      at = nullptr;
    }
  }
  return at;
}

std::uint32_t option(void* context, otagate_instance, otagate_str path, otagate_value* value) {
  Core& core = core_of(context);
  auto out = make_struct<otagate_value>();
  const std::string key(view(path));
  if (const toml::node* node = look_up(*core.options, key)) {
    std::string text;
    if (const auto* string = node->as_string()) {
      out.kind = OTAGATE_VALUE_STRING;
      text = string->get();
    } else if (const auto* integer = node->as_integer()) {
      out.kind = OTAGATE_VALUE_INTEGER;
      out.integer = integer->get();
    } else if (const auto* number = node->as_floating_point()) {
      out.kind = OTAGATE_VALUE_NUMBER;
      out.number = number->get();
    } else if (const auto* boolean = node->as_boolean()) {
      out.kind = OTAGATE_VALUE_BOOLEAN;
      out.integer = boolean->get() ? 1 : 0;
    } else if (const auto* list = node->as_array()) {
      out.kind = OTAGATE_VALUE_LIST;
      out.integer = static_cast<std::int64_t>(list->size());
    } else if (const auto* table = node->as_table()) {
      out.kind = OTAGATE_VALUE_TABLE;
      out.integer = static_cast<std::int64_t>(table->size());
      for (const auto& [name, member] : *table) text.append(name.str()).push_back('\0');
    }
    std::lock_guard lock(core.mutex);
    out.string = str(core.strings.emplace(key, std::move(text)).first->second);
  }
  write_struct(value, out);
  return out.kind == OTAGATE_VALUE_NONE ? OTAGATE_NOT_FOUND : OTAGATE_OK;
}

void log(void* context, otagate_instance, std::uint32_t level, otagate_str message) {
  if (too_long(message)) core_of(context).violation("a log message is longer than 64 KiB");
  if (level >= OTAGATE_LOG_WARN) std::fprintf(stderr, "  plugin: %s\n", std::string(view(message)).c_str());
}

void event(void* context, otagate_instance, const otagate_event* raw) {
  const auto said = read_struct<otagate_event>(raw);
  Core& core = core_of(context);
  if (said.kind.size == 0) core.violation("an event has no kind");
  std::lock_guard lock(core.mutex);
  core.events.emplace_back(view(said.kind));
}

void metric(void* context, otagate_instance, otagate_str name, std::uint32_t kind, double) {
  const std::string_view text = view(name);
  if (text.empty() || text.size() > 64 ||
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != text.npos)
    core_of(context).violation("the metric '" + std::string(text) + "' is not named [a-z][a-z0-9_]*");
  if (kind > 1) core_of(context).violation("a metric is neither a counter nor a gauge");
}

otagate_call timer(void* context, otagate_instance, std::uint64_t delay_ms, const otagate_reply* reply) {
  Core& core = core_of(context);
  otagate_call handle = 0;
  {
    std::lock_guard lock(core.mutex);
    if (core.destroyed || core.stop || core.timers.size() >= 1024) return 0;
    handle = core.next++;
    core.timers[handle] = {read_struct<otagate_reply>(reply)};
  }
  core.post([&core, handle] { fire(core, handle, OTAGATE_OK); },
            milliseconds(std::min<std::uint64_t>(delay_ms, 3600'000)));
  return handle;
}

void cancel_asked(void* context, otagate_instance, otagate_call handle) {
  Core& core = core_of(context);
  core.post([&core, handle] { fire(core, handle, OTAGATE_CANCELLED); }, milliseconds(0));
}

void health(void* context, otagate_instance, std::uint32_t status, otagate_str) {
  Core& core = core_of(context);
  std::lock_guard lock(core.mutex);
  core.health = status;
}

std::int64_t now(void*, std::uint32_t* synchronised) {
  if (synchronised) *synchronised = 1;
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What is said of an object, after what must hold of it was looked at.
ListedObject listed(Core& core, const otagate_object& in) {
  if (in.key.size == 0 || in.key.size > 1024 || view(in.key).find('\0') != std::string_view::npos)
    core.violation("an object's key is empty, longer than 1,024 bytes, or has a NUL");
  if (too_long(in.metadata) || too_long(in.locators))
    core.violation("an object has more than 64 KiB of metadata");
  if (in.sha256.size != 0 &&
      (in.sha256.size != 64 ||
       view(in.sha256).find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos))
    core.violation("an object's sha256 is not 64 hex digits");
  return {std::string(view(in.key)), std::string(view(in.change_token)), std::string(view(in.sha256)),
          in.object_size, in.flags};
}

std::uint32_t object(void* context, otagate_call handle, const otagate_object* raw) {
  Core& core = core_of(context);
  const auto call = core.find(handle);
  if (!call) {
    core.violation("object() for a call that was never made");
    return OTAGATE_STOP;
  }
  const auto in = read_struct<otagate_object>(raw);
  std::lock_guard lock(call->mutex);
  if (call->completions > 0) core.violation("object() after the call had completed");
  if (!call->objects_allowed) core.violation("object() in a call that lists nothing");
  call->objects.push_back(listed(core, in));
  return call->stopped ? OTAGATE_STOP : OTAGATE_CONTINUE;
}

std::uint32_t begin(void* context, otagate_call handle, const otagate_fetch_info* raw) {
  Core& core = core_of(context);
  const auto call = core.find(handle);
  if (!call) {
    core.violation("begin() for a call that was never made");
    return OTAGATE_STOP;
  }
  const auto in = read_struct<otagate_fetch_info>(raw);
  std::lock_guard lock(call->mutex);
  if (!call->sink_allowed) core.violation("begin() in a call that fetches nothing");
  if (call->total) core.violation("begin() was called twice");
  if (!call->bytes.empty()) core.violation("begin() came after bytes");
  call->total = in.total;
  call->change_token = view(in.change_token);
  return call->stopped ? OTAGATE_STOP : OTAGATE_CONTINUE;
}

std::uint32_t sink(void* context, otagate_call handle, const void* data, std::uint64_t size) {
  Core& core = core_of(context);
  const auto call = core.find(handle);
  if (!call) {
    core.violation("sink() for a call that was never made");
    return OTAGATE_STOP;
  }
  if (size > OTAGATE_MESSAGE_MAX) {
    core.violation("more than 64 KiB were passed to the sink at a time");
    return OTAGATE_STOP;
  }
  std::uint64_t got = 0;
  {
    std::lock_guard lock(call->mutex);
    if (!call->sink_allowed) core.violation("sink() in a call that fetches nothing");
    if (call->completions > 0) {
      core.violation("sink() after the call had completed");
      return OTAGATE_STOP;  // who waited for the call may be reading what it got
    }
    if (call->in_sink) core.violation("two threads were in the sink of one fetch");
    if (call->stopped) {
      ++call->after_stop;
      return OTAGATE_STOP;
    }
    call->in_sink = true;
    call->bytes.append(static_cast<const char*>(data), static_cast<std::size_t>(size));
    got = call->bytes.size();
  }
  const std::uint32_t answer = call->answer ? call->answer(got) : OTAGATE_CONTINUE;
  std::lock_guard lock(call->mutex);
  call->in_sink = false;
  if (answer == OTAGATE_STOP) call->stopped = true;
  return call->stopped ? OTAGATE_STOP : answer;
}

void changed(void*, otagate_instance, otagate_str) {}

std::uint64_t assignment(void* context, otagate_instance, const otagate_assignment* raw) {
  const auto in = read_struct<otagate_assignment>(raw);
  if (in.parts == 0 || in.parts > 16 || in.external_id.size == 0 || in.device.size == 0)
    core_of(context).violation("an assignment has no external id, no device, or not 1 to 16 parts");
  return 1;
}
void assignment_part(void* context, std::uint64_t, const otagate_assignment_part* raw) {
  Core& core = core_of(context);
  const auto in = read_struct<otagate_assignment_part>(raw);
  if (in.component.size == 0 || in.name.size == 0 || in.version.size == 0 || !in.object) {
    core.violation("a part of an assignment has no component, no name, no version, or no object");
    return;
  }
  ListedObject object = listed(core, read_struct<otagate_object>(in.object));
  const std::lock_guard lock(core.mutex);
  core.assigned.push_back(std::move(object));
  core.changed.notify_all();
}
void assignment_commit(void*, std::uint64_t) {}
void assignment_cancel(void*, otagate_instance, otagate_str) {}

const void* interface(void* context, const char* id) {
  Core& core = core_of(context);
  if (std::strcmp(id, OTAGATE_STORAGE_HOST_1) == 0) return &core.storage_table;
  if (std::strcmp(id, OTAGATE_TRANSPORT_HOST_1) == 0)
    return core.owner ? core.owner->transport_table : nullptr;
  return nullptr;
}

}  // namespace

void fire(Core& core, otagate_call handle, std::uint32_t status) {
  otagate_reply reply{};
  {
    std::lock_guard lock(core.mutex);
    const auto found = core.timers.find(handle);
    if (found == core.timers.end()) return;
    reply = found->second.reply;
    core.timers.erase(found);
  }
  auto completion = make_struct<otagate_completion>();
  completion.status = status;
  reply.fn(reply.context, &completion);
}

void fill_tables(Core& core) {
  core.table = make_struct<otagate_host>();
  core.table.abi_minor = OTAGATE_ABI_MINOR;
  core.table.context = &core;
  core.table.complete = &complete;
  core.table.poll = &poll;
  core.table.option = &option;
  core.table.log = &log;
  core.table.event = &event;
  core.table.metric = &metric;
  core.table.timer = &timer;
  core.table.cancel = &cancel_asked;
  core.table.health = &health;
  core.table.interface = &interface;
  core.table.now = &now;
  core.table.remaining = &remaining;
  core.storage_table = make_struct<otagate_storage_host>();
  core.storage_table.object = &object;
  core.storage_table.begin = &begin;
  core.storage_table.sink = &sink;
  core.storage_table.changed = &changed;
  core.storage_table.assignment = &assignment;
  core.storage_table.assignment_part = &assignment_part;
  core.storage_table.assignment_commit = &assignment_commit;
  core.storage_table.assignment_cancel = &assignment_cancel;
}

Instance* instance_of(void* context) { return core_of(context).owner; }

}  // namespace otagate::kit

#include "host.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "check.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::kit {

using sdk::make_struct;
using sdk::read_struct;
using sdk::str;
using sdk::view;
using sdk::write_struct;

bool Call::wait(milliseconds timeout) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, timeout, [this] { return completions > 0; });
}

bool Call::done() {
  std::lock_guard lock(mutex);
  return completions > 0;
}

struct Instance::Core {
  Instance* owner = nullptr;
  std::uint32_t plugin_flags = 0;
  const toml::table* options = nullptr;
  otagate_host table{};
  otagate_storage_host storage_table{};
  bool short_tables = false;

  std::mutex serial;  // held around calls of a plugin that is not thread-safe

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::map<otagate_call, std::shared_ptr<Call>> calls;
  otagate_call next = 0x700000001;
  std::vector<std::thread> threads;
  std::vector<std::string> violations;
  std::vector<std::string> events;
  std::uint32_t health = OTAGATE_OK;
  bool destroyed = false;
  // Values handed out live until the instance is destroyed.
  std::map<std::string, std::string> strings;

  // The reply thread's work, by time.
  std::multimap<Clock::time_point, std::function<void()>> posted;
  struct Timer {
    otagate_reply reply{};
  };
  std::map<otagate_call, Timer> timers;
  bool stop = false;
  std::thread replier;

  std::shared_ptr<Call> find(otagate_call call) {
    std::lock_guard lock(mutex);
    const auto found = calls.find(call);
    return found == calls.end() ? nullptr : found->second;
  }
  void violation(const std::string& what) {
    std::lock_guard lock(mutex);
    if (violations.size() < 100) violations.push_back(what);
  }
  void post(std::function<void()> work, milliseconds delay) {
    std::lock_guard lock(mutex);
    posted.emplace(Clock::now() + delay, std::move(work));
    changed.notify_all();
  }
  void run() {
    std::unique_lock lock(mutex);
    while (!stop || !posted.empty()) {
      if (posted.empty()) {
        changed.wait(lock);
      } else if (posted.begin()->first > Clock::now() && !stop) {
        changed.wait_until(lock, posted.begin()->first);
      } else {
        auto work = std::move(posted.begin()->second);
        posted.erase(posted.begin());
        lock.unlock();
        work();
        lock.lock();
      }
    }
  }
};

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
  if (in.key.size == 0 || in.key.size > 1024 || view(in.key).find('\0') != std::string_view::npos)
    core.violation("an object's key is empty, longer than 1,024 bytes, or has a NUL");
  if (too_long(in.metadata) || too_long(in.locators))
    core.violation("an object has more than 64 KiB of metadata");
  if (in.sha256.size != 0 &&
      (in.sha256.size != 64 ||
       view(in.sha256).find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos))
    core.violation("an object's sha256 is not 64 hex digits");
  call->objects.push_back({std::string(view(in.key)), std::string(view(in.change_token)),
                           std::string(view(in.sha256)), in.object_size, in.flags});
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
void assignment_part(void*, std::uint64_t, const otagate_assignment_part*) {}
void assignment_commit(void*, std::uint64_t) {}
void assignment_cancel(void*, otagate_instance, otagate_str) {}

const void* interface(void* context, const char* id) {
  Core& core = core_of(context);
  if (std::strcmp(id, OTAGATE_STORAGE_HOST_1) == 0) return &core.storage_table;
  if (std::strcmp(id, OTAGATE_TRANSPORT_HOST_1) == 0)
    return core.owner ? core.owner->transport_table : nullptr;
  return nullptr;
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

// Kept for good: see Instance.
std::deque<Core>& all_cores() {
  static auto& all = *new std::deque<Core>();
  return all;
}

Core* new_core() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  return &all_cores().emplace_back();
}

}  // namespace

std::string first_violation() {
  for (Core& core : all_cores()) {
    std::lock_guard lock(core.mutex);
    if (!core.violations.empty()) return core.violations.front();
  }
  return {};
}

Instance* instance_of(void* context) { return core_of(context).owner; }

Instance::Instance(Subject& subject, const char* interface_id, const toml::table& options, HostTable table,
                   const void* transport_host, void* user_data)
    : transport_table(transport_host), user(user_data), subject_(subject), core_(new_core()) {
  core_->owner = this;
  core_->plugin_flags = subject.plugin().flags;
  core_->options = &options;
  fill_tables(*core_);
  if (table == HostTable::shortest) {
    // A host with nothing but complete(), poll() and option(): what lies beyond is not a null pointer
    // but whatever is there.
    const std::size_t size = offsetof(otagate_host, log);
    std::memset(reinterpret_cast<char*>(&core_->table) + size, 0xa5, sizeof core_->table - size);
    core_->table.size = static_cast<std::uint32_t>(size);
  }
  core_->replier = std::thread([core = core_] { core->run(); });
  auto error = make_struct<otagate_error>();
  created_ = subject.plugin().create(&core_->table, 0x100000001, interface_id, &self_, &error);
  if (created_ != OTAGATE_OK)
    create_error_ = std::string(error.text, std::min<std::size_t>(error.text_size, sizeof error.text));
}

Instance::~Instance() { destroy(); }

void Instance::must_exist() const {
  expect(created_ == OTAGATE_OK,
         "create() failed: " + create_error_ + "; is [options] of the configuration right?");
  expect(self_ != nullptr, "create() succeeded without an instance");
}

std::shared_ptr<Call> Instance::call(std::shared_ptr<Call> call, std::function<void(otagate_call)> invoke) {
  otagate_call handle = 0;
  {
    std::lock_guard lock(core_->mutex);
    handle = core_->next++;
    core_->calls[handle] = call;
  }
  auto work = [core = core_, handle, invoke = std::move(invoke)] {
    if (core->plugin_flags & OTAGATE_PLUGIN_THREAD_SAFE) {
      invoke(handle);
    } else {
      std::lock_guard lock(core->serial);
      invoke(handle);
    }
  };
  if (core_->plugin_flags & OTAGATE_PLUGIN_BLOCKING) {
    std::lock_guard lock(core_->mutex);
    core_->threads.emplace_back(std::move(work));
  } else {
    const auto before = Clock::now();
    work();
    if (Clock::now() - before > std::chrono::seconds(1))
      core_->violation("a call took more than a second although the plugin says that it does not block");
  }
  return call;
}

void Instance::cancel(const std::shared_ptr<Call>& call, void (*plugin_cancel)(void*, otagate_call)) {
  {
    std::lock_guard lock(call->mutex);
    call->stopped = true;
    call->changed.notify_all();
  }
  if (plugin_cancel) plugin_cancel(self_, handle(call));
}

otagate_call Instance::handle(const std::shared_ptr<Call>& call) {
  std::lock_guard lock(core_->mutex);
  for (const auto& [one, known] : core_->calls)
    if (known == call) return one;
  return 0;
}

void Instance::stop_threads() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(core_->mutex);
    threads.swap(core_->threads);
  }
  for (std::thread& thread : threads) thread.join();
}

void Instance::no_violations() {
  std::lock_guard lock(core_->mutex);
  if (!core_->violations.empty()) throw Failed{core_->violations.front()};
}

void Instance::violation(const std::string& what) { core_->violation(what); }

std::vector<std::string> Instance::events() {
  std::lock_guard lock(core_->mutex);
  return core_->events;
}

std::uint32_t Instance::health() {
  std::lock_guard lock(core_->mutex);
  return core_->health;
}

void Instance::post(std::function<void()> work, milliseconds delay) { core_->post(std::move(work), delay); }

void Instance::destroy() {
  if (destroyed_) return;
  destroyed_ = true;
  stop_threads();
  // What the plugin still asked for is answered before.
  std::vector<otagate_call> timers;
  {
    std::lock_guard lock(core_->mutex);
    for (const auto& [handle, timer] : core_->timers) timers.push_back(handle);
  }
  for (otagate_call handle : timers) fire(*core_, handle, OTAGATE_CANCELLED);
  {
    std::lock_guard lock(core_->mutex);
    core_->stop = true;
    core_->changed.notify_all();
  }
  core_->replier.join();
  if (created_ == OTAGATE_OK && self_) {
    const auto before = Clock::now();
    subject_.plugin().destroy(self_);
    if (Clock::now() - before > std::chrono::seconds(5)) core_->violation("destroy() took more than 5 s");
  }
  std::lock_guard lock(core_->mutex);
  core_->destroyed = true;
  core_->owner = nullptr;
}

Resources Resources::now() {
  Resources out;
  for (const auto& [folder, count] :
       {std::pair{"/proc/self/fd", &out.descriptors}, std::pair{"/proc/self/task", &out.threads}}) {
    DIR* dir = ::opendir(folder);
    if (!dir) continue;
    while (::readdir(dir)) ++*count;
    ::closedir(dir);
  }
  return out;
}

void expect_released(const Resources& before, const char* after_what) {
  Resources after;
  for (const auto until = Clock::now() + std::chrono::seconds(5); Clock::now() < until;) {
    after = Resources::now();
    if (after.descriptors <= before.descriptors && after.threads <= before.threads) return;
    std::this_thread::sleep_for(milliseconds(20));  // nothing tells when a thread has left the kernel
  }
  expect(after.descriptors <= before.descriptors, std::string(after_what) + " left " +
                                                      std::to_string(after.descriptors - before.descriptors) +
                                                      " descriptors open");
  expect(after.threads <= before.threads, std::string(after_what) + " left " +
                                              std::to_string(after.threads - before.threads) +
                                              " threads behind");
}

}  // namespace otagate::kit

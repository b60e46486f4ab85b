#include "host.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>

#include "check.hpp"
#include "host_core.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::kit {

using sdk::make_struct;

namespace {

using Core = Instance::Core;

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

bool Call::wait(milliseconds timeout) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, timeout, [this] { return completions > 0; });
}

bool Call::done() {
  std::lock_guard lock(mutex);
  return completions > 0;
}

std::string first_violation() {
  for (Core& core : all_cores()) {
    std::lock_guard lock(core.mutex);
    if (!core.violations.empty()) return core.violations.front();
  }
  return {};
}

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

std::vector<ListedObject> Instance::assigned(milliseconds patience) {
  std::unique_lock lock(core_->mutex);
  core_->changed.wait_for(lock, patience, [this] { return !core_->assigned.empty(); });
  return core_->assigned;
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

}  // namespace otagate::kit

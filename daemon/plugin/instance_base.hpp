// What the bridges of stores and transports share: the host's table as one instance sees it, its state,
// its options, the calls made to the plugin with their deadlines, and the calls the plugin makes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "otagate/plugin.h"
#include "plugin/abi.hpp"
#include "plugin/dispatcher.hpp"
#include "plugin/handles.hpp"
#include "plugin/host_context.hpp"
#include "plugin/instance.hpp"
#include "plugin/instance_state.hpp"
#include "plugin/lanes.hpp"
#include "plugin/loader.hpp"

namespace otagate::plugin {

// Shared by all instances of a registry.
struct Surroundings {
  std::shared_ptr<Dispatcher> dispatcher;
  InstanceListener* listener = nullptr;
  std::chrono::milliseconds grace{0};
  std::chrono::milliseconds create_timeout{0};
  std::size_t threads = 4;
  std::size_t max_queued = 256;
};

// A call made to the plugin, from the moment it is queued until the plugin has completed it.
struct OpenCall {
  using Clock = std::chrono::steady_clock;
  // Gets the plugin's result (valid during the call only) or why there is none, copies it, and returns
  // what is to run on the dispatcher. Called once, under `mutex`.
  using Finish = std::function<Task(Result<const void*> result)>;

  virtual ~OpenCall() = default;

  // Until the deadline; under `mutex`.
  std::chrono::milliseconds left() const {
    return std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  }

  const char* what = "";  // "list": for messages
  std::chrono::milliseconds timeout{0};
  otagate_call handle = 0;
  Finish finish;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  Clock::time_point deadline;
  bool started = false;    // the plugin has it
  bool stopped = false;    // poll() says so
  bool cancelled = false;  // by the gateway, not by the deadline
  bool ended = false;      // its reply is posted, or will be by who is in the sink
  bool in_sink = false;
  bool resumed = false;
  std::optional<Error> broken;  // the plugin broke a rule: what it completes with does not matter
  Task deferred;                // the reply, while somebody is in the sink
  TimerId timer{};
};
using OpenCallPtr = std::shared_ptr<OpenCall>;

// A call made by the plugin.
struct Asked {
  otagate_reply reply{};
  otagate_reader reader = 0;  // of blob_want()
  bool is_timer = false;

  std::mutex mutex;  // guards what follows
  std::optional<TimerId> timer;
};

// Thread-safe. Kept alive by its owner, by queued work and by threads that are inside the plugin.
class InstanceBase : public std::enable_shared_from_this<InstanceBase> {
 public:
  virtual ~InstanceBase();
  InstanceBase(const InstanceBase&) = delete;
  InstanceBase& operator=(const InstanceBase&) = delete;

  // Makes the plugin's instance; once, before anything else. Blocks at most create_timeout.
  Result<void> create();
  const InstanceSpec& spec() const { return spec_; }
  const Library& library() const { return *library_; }
  InstanceStatus base_status() const;

 protected:
  InstanceBase(InstanceSpec spec, const char* interface_id, std::shared_ptr<const Library> library,
               Surroundings surroundings);

  // --- calls to the plugin
  using Invoke = std::function<void(void* self, otagate_call handle)>;
  enum class During { running, closing };
  // Queues `invoke` on the call lane and watches its deadline. A call that cannot be made is replied to.
  CallId submit(const OpenCallPtr& call, Invoke invoke, bool fetch = false, During during = During::running);
  // Queued, without a completion; dropped once the instance ends.
  void tell(const char* what, std::function<void(void* self)> invoke);
  void cancel_call(CallId handle);
  // See StorageInstance::close(). `before` (transports: stop()) runs first and calls back when it is over.
  void close_instance(std::chrono::milliseconds grace, Task done,
                      const std::function<void(Task)>& before = {});

  std::optional<OpenCallPtr> find_call(otagate_call handle) const { return calls_.find(handle); }
  // Under the call's mutex: may the plugin still hand something over for it?
  static bool takes(const OpenCall& call) { return !call.ended && !call.stopped && !call.broken; }
  // Under the call's mutex; the reply is posted, or left to who is in the sink.
  void end(OpenCall& call, Result<const void*> result);

  // --- calls by the plugin
  // 0 when the instance has too many already or is ending; then the reply is not called.
  otagate_call ask(const otagate_reply* reply, otagate_reader reader = 0) {
    return insert_asked(reply, reader, false);
  }
  using Deliver = std::function<void(const otagate_reply& reply)>;
  // Runs `deliver` on the reply lane unless the call has been replied to; then it is dropped.
  void answer(otagate_call call, Deliver deliver);
  // The simplest replies.
  void answer_status(otagate_call call, std::uint32_t status, std::string message = {});
  std::vector<std::pair<std::uint64_t, std::shared_ptr<Asked>>> asked() const { return asked_.all(); }

  // Calls into the plugin, unless its instance is ending. What it throws marks the instance failed.
  // False when it did not run to its end.
  bool in_plugin(const char* what, const Task& work) noexcept;

  // --- what the bridges add
  // "otagate.storage-host/1" and so on; null for what is not this instance's.
  virtual const void* host_interface(std::string_view id) = 0;
  // The plugin's cancel(), if it has one.
  virtual void plugin_cancel(void* self, otagate_call call) = 0;
  // The instance ends: take back what the plugin holds. Its asked calls are cancelled after that.
  virtual void take_back() {}
  virtual std::uint64_t open_readers() const { return 0; }

  void* plugin_self() const { return self_; }
  Dispatcher& dispatcher() const { return *surroundings_.dispatcher; }
  InstanceListener& listener() const { return *surroundings_.listener; }
  Lanes& lanes() { return lanes_; }
  StateKeeper& state() { return state_; }
  otagate_instance instance_id() const { return context_->instance; }
  HostContext& context() const { return *context_; }
  template <class T>
  std::shared_ptr<T> shared_as() {
    return std::static_pointer_cast<T>(shared_from_this());
  }

 private:
  friend struct HostFunctions;

  // The host's table; see plugin.h.
  void complete(otagate_call call, const otagate_completion* completion);
  std::uint32_t poll(otagate_call call) const;
  std::uint64_t remaining(otagate_call call) const;
  std::uint32_t option(const otagate_str& path, otagate_value* value);
  void plugin_log(std::uint32_t level, const otagate_str& message) const;
  void plugin_event(const otagate_event* event) const;
  otagate_call timer(std::uint64_t delay_ms, const otagate_reply* reply);
  otagate_call insert_asked(const otagate_reply* reply, otagate_reader reader, bool is_timer);
  void cancel_asked(otagate_call call);

  // Under the call's mutex.
  void arm(OpenCall& call, std::chrono::milliseconds delay);
  void deadline_passed(otagate_call handle);
  void tell_cancel(otagate_call handle);
  void past_margin(otagate_call handle);
  void past_grace(otagate_call handle);
  void refuse(const OpenCallPtr& call, Error error);
  void call_left();  // the table lost a call: close() may wait for that
  void begin_destroy();
  void destroy_plugin();
  void finish_close(const char* left_behind);

  const InstanceSpec spec_;
  const char* const interface_id_;
  const std::shared_ptr<const Library> library_;
  const Surroundings surroundings_;
  HostContext* context_ = nullptr;  // set by create(); outlives this, see host_context.hpp
  void* self_ = nullptr;            // set by create(), before any call
  StateKeeper state_;

  HandleTable<OpenCallPtr> calls_{4096};
  HandleTable<std::shared_ptr<Asked>> asked_{65536};
  std::atomic<std::size_t> timers_{0};

  std::mutex options_mutex_;  // guards what follows
  std::map<std::string, std::unique_ptr<OptionValue>, std::less<>> options_;

  std::mutex gate_mutex_;     // guards what follows
  std::size_t inside_ = 0;    // threads in the plugin
  bool asking_over_ = false;  // ask() refuses
  bool gate_closed_ = false;  // nobody enters any more
  Task gate_empty_;

  std::atomic<bool> closing_{false};
  std::mutex close_mutex_;  // guards what follows
  Task close_done_;
  Task calls_over_;  // waits for the last open call
  TimerId close_timer_{};

  Lanes lanes_;  // last: its threads use the rest
};

}  // namespace otagate::plugin

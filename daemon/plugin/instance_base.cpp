#include "plugin/instance_base.hpp"

#include <algorithm>
#include <exception>
#include <future>

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;
using Clock = OpenCall::Clock;

constexpr milliseconds kCancelPatience{2'000};  // for a cancelled call to complete by itself
constexpr milliseconds kMargin{2'000};          // past its deadline, before a call counts as hung
constexpr milliseconds kDestroyTimeout{6'000};  // the ABI allows 5 s

// Instances whose plugin did not let go: it may still read what they share with it.
void keep_for_good(std::shared_ptr<InstanceBase> instance) {
  static std::mutex mutex;
  static auto& all = *new std::vector<std::shared_ptr<InstanceBase>>();
  std::lock_guard lock(mutex);
  all.push_back(std::move(instance));
}

std::size_t fetch_share(std::size_t threads) { return std::max<std::size_t>(1, threads / 2); }

}  // namespace

InstanceBase::InstanceBase(InstanceSpec spec, const char* interface_id,
                           std::shared_ptr<const Library> library, Surroundings surroundings)
    : spec_(std::move(spec)),
      interface_id_(interface_id),
      library_(std::move(library)),
      surroundings_(std::move(surroundings)),
      state_(spec_.name, surroundings_.dispatcher, *surroundings_.listener),
      // One thread is what makes the calls of an instance one by one; and who never blocks needs no more.
      lanes_(library_->blocking() && library_->thread_safe() ? surroundings_.threads : 1,
             library_->blocking() && library_->thread_safe() ? fetch_share(surroundings_.threads) : 1,
             surroundings_.max_queued) {}

InstanceBase::~InstanceBase() = default;

// ---------------------------------------------------------------- create

Result<void> InstanceBase::create() {
  context_ = make_host_context(shared_from_this());

  struct Outcome {
    std::mutex mutex;
    bool abandoned = false;
    std::promise<Result<void>> promise;
  };
  auto outcome = std::make_shared<Outcome>();
  auto answer = outcome->promise.get_future();
  lanes_.call_always([self = shared_from_this(), outcome] {
    Result<void> result;
    void* made = nullptr;
    self->in_plugin("create", [&] {
      auto error = make_struct<otagate_error>();
      const std::uint32_t status = self->library_->plugin().create(
          &self->context_->table, self->context_->instance, self->interface_id_, &made, &error);
      if (status == OTAGATE_OK && !made) {
        result = fail(Code::internal, "create() succeeded without an instance");
      } else if (status != OTAGATE_OK) {
        auto completion = make_struct<otagate_completion>();
        completion.status = status;
        completion.message =
            to_str(std::string_view(error.text, std::min<std::size_t>(error.text_size, sizeof error.text)));
        result = fail(to_error(completion));
        made = nullptr;
      }
    });
    if (const std::string thrown = self->state_.failed(); !thrown.empty())
      result = fail(Code::internal, thrown);
    {
      std::lock_guard lock(outcome->mutex);
      if (!outcome->abandoned) self->self_ = result ? made : nullptr;
      made = outcome->abandoned ? made : nullptr;
      outcome->promise.set_value(std::move(result));
    }
    // Nobody waits any more: undo it.
    if (made) self->in_plugin("destroy", [&] { self->library_->plugin().destroy(made); });
  });

  if (answer.wait_for(surroundings_.create_timeout) != std::future_status::ready) {
    std::lock_guard lock(outcome->mutex);
    if (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      outcome->abandoned = true;
      std::string why =
          "create() did not return within " + std::to_string(surroundings_.create_timeout.count()) + " ms";
      state_.fail(why);
      keep_for_good(shared_from_this());
      return fail(Code::deadline, std::move(why));
    }
  }
  auto result = answer.get();
  if (!result) state_.fail(result.error().message());
  return result;
}

InstanceStatus InstanceBase::base_status() const {
  InstanceStatus out;
  out.name = spec_.name;
  out.plugin = spec_.plugin;
  out.interface = interface_id_;
  state_.fill(out);
  out.open_calls = calls_.size();
  out.open_readers = open_readers();
  out.threads = lanes_.threads();
  return out;
}

// ---------------------------------------------------------------- into the plugin

bool InstanceBase::in_plugin(const char* what, const Task& work) noexcept {
  {
    std::lock_guard lock(gate_mutex_);
    if (gate_closed_) return false;
    ++inside_;
  }
  std::string thrown;
  try {
    work();
  } catch (const std::exception& problem) {
    thrown = std::string(what) + "() threw: " + problem.what();
  } catch (...) {
    thrown = std::string(what) + "() threw something";
  }
  if (!thrown.empty()) {
    ++state_.counters.thrown;
    state_.fail(thrown);
  }
  Task empty;
  {
    std::lock_guard lock(gate_mutex_);
    if (--inside_ == 0 && gate_closed_) empty = std::move(gate_empty_);
  }
  if (empty) empty();
  return thrown.empty();
}

CallId InstanceBase::submit(const OpenCallPtr& call, Invoke invoke, bool fetch, During during) {
  if (std::string why = state_.failed(); !why.empty()) {
    refuse(call, Error(Code::internal, spec_.name + " has failed: " + why));
    return 0;
  }
  if (closing_ && during == During::running) {
    refuse(call, Error(Code::cancelled, spec_.name + " is stopping"));
    return 0;
  }
  const otagate_call handle = calls_.insert(call);
  {
    std::lock_guard lock(call->mutex);
    call->handle = handle;
    call->deadline = Clock::now() + call->timeout;
    if (handle) arm(*call, call->timeout);
  }
  const bool queued =
      handle && lanes_.call(
                    [self = shared_from_this(), call, handle, invoke = std::move(invoke)] {
                      {
                        std::lock_guard lock(call->mutex);
                        if (call->ended) return;  // past its deadline while it waited
                        call->started = true;
                      }
                      ++self->state_.counters.calls;
                      if (self->in_plugin(call->what, [&] { invoke(self->self_, handle); })) return;
                      if (!self->calls_.take(handle)) return;  // completed before it threw
                      {
                        std::lock_guard lock(call->mutex);
                        self->dispatcher().cancel(call->timer);
                        if (!call->ended)
                          self->end(*call, fail(Code::internal,
                                                self->spec_.name + " has failed: " + self->state_.failed()));
                      }
                      self->state_.came_back(handle);
                      self->call_left();
                    },
                    fetch);
  if (queued) return handle;
  if (handle) {
    calls_.take(handle);
    dispatcher().cancel(call->timer);
  }
  refuse(call, Error(Code::busy, spec_.name + " has too many calls open").with_retry_after(1000));
  return 0;
}

void InstanceBase::tell(const char* what, std::function<void(void* self)> invoke) {
  if (!state_.failed().empty()) return;
  lanes_.call_always([self = shared_from_this(), what, invoke = std::move(invoke)] {
    self->in_plugin(what, [&] { invoke(self->self_); });
  });
}

void InstanceBase::refuse(const OpenCallPtr& call, Error error) {
  ++state_.counters.refused;
  std::lock_guard lock(call->mutex);
  if (!call->ended) end(*call, fail(std::move(error)));
}

void InstanceBase::end(OpenCall& call, Result<const void*> result) {
  call.ended = true;
  call.changed.notify_all();
  Task reply = call.finish(std::move(result));
  call.finish = nullptr;
  if (call.in_sink)
    call.deferred = std::move(reply);
  else
    dispatcher().post(std::move(reply));
}

// ---------------------------------------------------------------- deadlines

void InstanceBase::arm(OpenCall& call, milliseconds delay) {
  call.timer =
      dispatcher().after(std::max(delay, milliseconds(1)), [weak = weak_from_this(), handle = call.handle] {
        if (auto self = weak.lock()) self->deadline_passed(handle);
      });
}

void InstanceBase::deadline_passed(otagate_call handle) {
  const auto found = calls_.find(handle);
  if (!found) return;
  OpenCall& call = **found;
  bool started = true;
  bool told = false;
  {
    std::lock_guard lock(call.mutex);
    if (call.ended) return;
    // Bytes were taken meanwhile, or are being taken: that is progress, not silence.
    const milliseconds rest =
        call.in_sink ? std::min<milliseconds>(call.timeout, kCancelPatience) : call.left();
    if (rest.count() > 0) return arm(call, rest);
    call.stopped = true;
    started = call.started;
    told = call.cancelled;
    if (call.cancelled) {
      ++state_.counters.cancelled;
      end(call, fail(Code::cancelled, std::string(call.what) + " of " + spec_.name + " was cancelled"));
    } else {
      ++state_.counters.deadlines;
      end(call,
          fail(Code::deadline, std::string(call.what) + " of " + spec_.name + " did not complete within " +
                                   std::to_string(call.timeout.count()) + " ms"));
    }
  }
  if (!started) {
    calls_.take(handle);
    call_left();
    return;
  }
  if (!told) tell_cancel(handle);
  const milliseconds margin = std::min(kMargin, surroundings_.grace / 4);
  dispatcher().after(margin, [weak = weak_from_this(), handle] {
    if (auto self = weak.lock()) self->past_margin(handle);
  });
  dispatcher().after(surroundings_.grace, [weak = weak_from_this(), handle] {
    if (auto self = weak.lock()) self->past_grace(handle);
  });
}

void InstanceBase::past_margin(otagate_call handle) {
  const auto call = calls_.find(handle);
  if (!call) return;
  state_.overdue(handle, (*call)->what);
  if (!calls_.find(handle)) state_.came_back(handle);  // it has, in between
}

void InstanceBase::past_grace(otagate_call handle) {
  // It stays in the table: a completion that comes after all counts as late and not as stray.
  if (const auto call = calls_.find(handle))
    state_.fail(std::string((*call)->what) + "() was abandoned " +
                std::to_string(surroundings_.grace.count() / 1000) +
                " s past its deadline; restart the gateway to use this instance again");
}

void InstanceBase::cancel_call(CallId handle) {
  const auto found = calls_.find(handle);
  if (!found) return;
  OpenCall& call = **found;
  bool started = false;
  {
    std::lock_guard lock(call.mutex);
    if (call.ended || call.cancelled) return;
    started = call.started;
    call.cancelled = true;
    call.stopped = true;
    call.changed.notify_all();
    dispatcher().cancel(call.timer);
    if (started) {
      call.deadline = std::min(call.deadline, Clock::now() + kCancelPatience);
      arm(call, call.left());
    } else {
      ++state_.counters.cancelled;
      end(call, fail(Code::cancelled, std::string(call.what) + " of " + spec_.name + " was cancelled"));
    }
  }
  if (!started) {
    calls_.take(handle);
    call_left();
    return;
  }
  tell_cancel(handle);
}

void InstanceBase::tell_cancel(otagate_call handle) {
  lanes_.reply([self = shared_from_this(), handle] {
    self->in_plugin("cancel", [&] { self->plugin_cancel(self->self_, handle); });
  });
}

// ---------------------------------------------------------------- the end

void InstanceBase::close_instance(milliseconds grace, Task done, const std::function<void(Task)>& before) {
  if (closing_.exchange(true) || !self_) {
    if (!self_) state_.stopped();
    dispatcher().post(std::move(done));
    return;
  }
  {
    std::lock_guard lock(close_mutex_);
    close_done_ = std::move(done);
  }
  Task rest = [self = shared_from_this(), grace] {
    for (const auto& [handle, call] : self->calls_.all()) self->cancel_call(handle);
    {
      std::lock_guard lock(self->close_mutex_);
      self->calls_over_ = [self] { self->begin_destroy(); };
      self->close_timer_ = self->dispatcher().after(
          grace, [self] { self->finish_close("it did not end its calls in time when it was stopped"); });
    }
    self->call_left();
  };
  if (before)
    before(std::move(rest));
  else
    rest();
}

void InstanceBase::call_left() {
  if (!closing_ || calls_.size() > 0) return;
  Task over;
  {
    std::lock_guard lock(close_mutex_);
    over = std::exchange(calls_over_, nullptr);
  }
  if (over) over();
}

void InstanceBase::begin_destroy() {
  take_back();
  {
    std::lock_guard lock(gate_mutex_);
    asking_over_ = true;
  }
  for (const auto& [call, entry] : asked_.all()) cancel_asked(call);
  // Behind the replies that were queued just now.
  lanes_.reply([self = shared_from_this()] {
    bool empty = false;
    {
      std::lock_guard lock(self->gate_mutex_);
      self->gate_closed_ = true;
      empty = self->inside_ == 0;
      if (!empty) self->gate_empty_ = [self] { self->destroy_plugin(); };
    }
    if (empty) self->destroy_plugin();
  });
}

void InstanceBase::destroy_plugin() {
  {
    std::lock_guard lock(close_mutex_);
    if (!close_done_) return;  // left behind already
    dispatcher().cancel(close_timer_);
    close_timer_ = dispatcher().after(
        kDestroyTimeout, [self = shared_from_this()] { self->finish_close("destroy() did not return"); });
  }
  lanes_.call_always([self = shared_from_this()] {
    try {
      self->library_->plugin().destroy(self->self_);
    } catch (...) {
      ++self->state_.counters.thrown;
      self->state_.fail("destroy() threw");
    }
    self->finish_close(nullptr);
  });
}

void InstanceBase::finish_close(const char* left_behind) {
  Task done;
  {
    std::lock_guard lock(close_mutex_);
    done = std::exchange(close_done_, nullptr);
    calls_over_ = nullptr;
    if (done) dispatcher().cancel(close_timer_);
  }
  if (!done) return;
  if (left_behind) {
    state_.left_behind(left_behind);
    keep_for_good(shared_from_this());
  } else {
    state_.stopped();
  }
  dispatcher().post(std::move(done));
}

}  // namespace otagate::plugin

#include "plugin/instance_base.hpp"

#include <algorithm>
#include <exception>
#include <future>

#include "core/log.hpp"

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;
using Clock = OpenCall::Clock;

constexpr std::size_t kMaxTimers = 1024;
constexpr std::size_t kMaxOptions = 4096;
constexpr milliseconds kCancelPatience{2'000};  // for a cancelled call to complete by itself
constexpr milliseconds kMargin{2'000};          // past its deadline, before a call counts as hung
constexpr milliseconds kDestroyTimeout{6'000};  // the ABI allows 5 s

milliseconds until(Clock::time_point when) { return std::chrono::ceil<milliseconds>(when - Clock::now()); }

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

CallId InstanceBase::submit(OpenCallPtr call, Invoke invoke, bool fetch, During during) {
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
        call.in_sink ? std::min<milliseconds>(call.timeout, kCancelPatience) : until(call.deadline);
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
      arm(call, until(call.deadline));
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

// ---------------------------------------------------------------- the host's table

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
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, until((*call)->deadline).count()));
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

// ---------------------------------------------------------------- the end

void InstanceBase::close_instance(milliseconds grace, Task done, std::function<void(Task)> before) {
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

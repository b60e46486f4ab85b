// What every plugin instance gets from the gateway: its options, log, events, metrics, timers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "otagate/cpp/status.hpp"

namespace otagate::sdk {

class Host;

// One option of the instance, or nothing. The getters without a default throw Failure with a message
// for the operator when the option is missing or of another type; the schema should say so before.
class Option {
 public:
  Option(const Host& host, std::string path);

  bool exists() const { return value_.kind != OTAGATE_VALUE_NONE; }
  std::string string() const { return std::string(view(need(OTAGATE_VALUE_STRING, "a string").string)); }
  std::string string(std::string_view fallback) const { return exists() ? string() : std::string(fallback); }
  std::int64_t integer() const { return need(OTAGATE_VALUE_INTEGER, "an integer").integer; }
  std::int64_t integer(std::int64_t fallback) const { return exists() ? integer() : fallback; }
  bool boolean() const { return need(OTAGATE_VALUE_BOOLEAN, "true or false").integer != 0; }
  bool boolean(bool fallback) const { return exists() ? boolean() : fallback; }
  // Integers count as numbers.
  double number() const {
    if (value_.kind == OTAGATE_VALUE_INTEGER) return static_cast<double>(value_.integer);
    return need(OTAGATE_VALUE_NUMBER, "a number").number;
  }
  double number(double fallback) const { return exists() ? number() : fallback; }

  // Elements of a list; 0 when there is nothing.
  std::size_t size() const {
    return exists() ? static_cast<std::size_t>(need(OTAGATE_VALUE_LIST, "a list").integer) : 0;
  }
  Option at(std::size_t index) const;
  // The list's elements as strings; empty when there is nothing.
  std::vector<std::string> strings() const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < size(); ++i) out.push_back(at(i).string());
    return out;
  }
  // The table's keys; empty when there is nothing.
  std::vector<std::string> keys() const {
    return exists() ? unpack_words(view(need(OTAGATE_VALUE_TABLE, "a table").string))
                    : std::vector<std::string>();
  }
  Option operator[](std::string_view key) const;

 private:
  const otagate_value& need(std::uint32_t kind, const char* what) const {
    if (!exists()) throw Failure(OTAGATE_INVALID, "option '" + path_ + "' is missing; it must be " + what);
    if (value_.kind != kind) throw Failure(OTAGATE_INVALID, "option '" + path_ + "' must be " + what);
    return value_;
  }

  const Host& host_;
  std::string path_;
  otagate_value value_{};
};

// Lives from before the plugin's object is made until after it is destroyed. Any thread.
class Host {
 public:
  Host(const otagate_host* host, otagate_instance instance)
      : host_(read_struct<otagate_host>(host)), instance_(instance) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // By dotted path: "bucket", "tls.ca_file", "keys.0"; "" is the table of all.
  Option option(std::string_view path) const { return Option(*this, std::string(path)); }

  void log(std::uint32_t level, std::string_view message) const {
    if (host_.log) host_.log(host_.context, instance_, level, str(message));
  }
  void debug(std::string_view message) const { log(OTAGATE_LOG_DEBUG, message); }
  void info(std::string_view message) const { log(OTAGATE_LOG_INFO, message); }
  void warn(std::string_view message) const { log(OTAGATE_LOG_WARN, message); }
  void error(std::string_view message) const { log(OTAGATE_LOG_ERROR, message); }

  // Something worth keeping in the event log. `kind` is short and stable: "certificate_expired".
  void event(std::uint32_t severity, std::string_view kind, std::string_view subject,
             std::string_view message) const {
    auto out = make_struct<otagate_event>();
    out.severity = severity;
    out.kind = str(kind);
    out.subject = str(subject);
    out.message = str(message);
    if (host_.event) host_.event(host_.context, instance_, &out);
  }

  void count(std::string_view name, double by = 1) const {
    if (host_.metric) host_.metric(host_.context, instance_, str(name), 0, by);
  }
  void gauge(std::string_view name, double value) const {
    if (host_.metric) host_.metric(host_.context, instance_, str(name), 1, value);
  }

  // OTAGATE_OK: running. OTAGATE_BUSY: waiting for something, goes on by itself. Else: why not.
  void health(std::uint32_t status, std::string_view message = {}) const {
    if (host_.health) host_.health(host_.context, instance_, status, str(message));
  }

  // Wall time as the gateway believes it; nullopt while it is not synchronised and nothing may expire.
  std::int64_t now_ms() const {
    std::uint32_t synchronised = 0;
    return host_.now ? host_.now(host_.context, &synchronised) : system_ms();
  }
  std::optional<std::int64_t> synchronised_now_ms() const {
    std::uint32_t synchronised = 0;
    const std::int64_t now = host_.now ? host_.now(host_.context, &synchronised) : 0;
    return synchronised ? std::optional(now) : std::nullopt;
  }

  // Calls `done(Outcome<Nothing>)` after `delay`, with OTAGATE_CANCELLED when it was cancelled, and
  // at once with OTAGATE_BUSY when the instance has too many timers. Returns a handle for cancel().
  template <class Done>
  otagate_call timer(std::chrono::milliseconds delay, Done done) const {
    return ask<Nothing>(
        [&](const otagate_reply& reply) {
          return host_.timer ? host_.timer(host_.context, instance_,
                                           static_cast<std::uint64_t>(delay.count()), &reply)
                             : 0;
        },
        [](Nothing&, const void*) {}, nullptr, std::move(done));
  }

  // Ends a call that this plugin made; its `done` comes all the same.
  void cancel(otagate_call call) const {
    if (host_.cancel && call) host_.cancel(host_.context, instance_, call);
  }

  // Ends every blocking call of this instance with OTAGATE_CANCELLED, now and from now on, so that a
  // thread that waits in one can be joined.
  void interrupt() const {
    std::set<otagate_call> open;
    {
      std::lock_guard lock(waiting_->mutex);
      waiting_->interrupted = true;
      open = waiting_->open;
    }
    for (otagate_call call : open) cancel(call);
  }

  const otagate_host& table() const { return host_; }
  otagate_instance instance() const { return instance_; }

  // One call to the gateway. `start` makes it with the reply it is given; `keep` copies what `item`
  // delivers (it may be null) and `result` what the completion carries; `done` gets the Outcome, once,
  // on any thread, and may be move-only. Used by the hosts of stores and transports.
  template <class T, class Start, class Result, class Item, class Done>
  otagate_call ask(Start start, Result result, Item item, Done done) const {
    struct Context {
      Result result;
      Item item;
      Done done;
      const Host* host;
      Outcome<T> outcome;
    };
    auto context =
        std::unique_ptr<Context>(new Context{std::move(result), std::move(item), std::move(done), this, {}});
    auto reply = make_struct<otagate_reply>();
    reply.context = context.get();
    reply.fn = [](void* raw, const otagate_completion* completion) {
      const std::unique_ptr<Context> self(static_cast<Context*>(raw));
      self->host->guarded([&] {
        const auto ended = read_struct<otagate_completion>(completion);
        self->outcome.status = ended.status;
        self->outcome.retry_after_ms = ended.retry_after_ms;
        self->outcome.message = view(ended.message);
        if (ended.result) self->result(self->outcome.value, ended.result);
        self->done(std::move(self->outcome));
      });
    };
    if constexpr (!std::is_same_v<Item, std::nullptr_t>) {
      reply.item = [](void* raw, const void* one) {
        auto* self = static_cast<Context*>(raw);
        self->host->guarded([&] { self->item(self->outcome.value, one); });
      };
    }
    const otagate_call call = start(static_cast<const otagate_reply&>(reply));
    if (call) {
      (void)context.release();  // the reply has it now, or had it already
      return call;
    }
    context->outcome.status = OTAGATE_BUSY;
    context->outcome.message = "the gateway has too many open calls of this instance or cannot do that";
    guarded([&] { context->done(std::move(context->outcome)); });
    return 0;
  }

  // The same, waiting for the outcome. `start(done)` makes the call and returns its handle. Throws
  // Failure when it failed or interrupt() was called. Not from inside a reply.
  template <class T, class Start>
  Outcome<T> wait(Start start) const {
    struct Slot {
      std::mutex mutex;
      std::condition_variable ready;
      std::optional<Outcome<T>> outcome;
    };
    auto slot = std::make_shared<Slot>();
    {
      std::lock_guard lock(waiting_->mutex);
      if (waiting_->interrupted) throw Failure(OTAGATE_CANCELLED, "the instance is stopping");
    }
    const otagate_call call = start([slot](Outcome<T> outcome) {
      std::lock_guard lock(slot->mutex);
      slot->outcome = std::move(outcome);
      slot->ready.notify_all();
    });
    bool too_late = false;
    {
      std::lock_guard lock(waiting_->mutex);
      waiting_->open.insert(call);
      too_late = waiting_->interrupted;
    }
    if (too_late) cancel(call);
    std::unique_lock lock(slot->mutex);
    slot->ready.wait(lock, [&] { return slot->outcome.has_value(); });
    std::lock_guard open(waiting_->mutex);
    waiting_->open.erase(call);
    return std::move(*slot->outcome);
  }

  // Nothing thrown may reach the gateway: what a callback throws ends up in the log.
  template <class F>
  void guarded(F work) const noexcept {
    try {
      work();
    } catch (const std::exception& problem) {
      error(problem.what());
    } catch (...) {
      error("a callback of the plugin threw something that is no std::exception");
    }
  }

 private:
  struct Waiting {
    std::mutex mutex;
    std::set<otagate_call> open;  // under mutex
    bool interrupted = false;     // under mutex
  };

  static std::int64_t system_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }

  const otagate_host host_;
  const otagate_instance instance_;
  const std::unique_ptr<Waiting> waiting_ = std::make_unique<Waiting>();
};

inline Option::Option(const Host& host, std::string path) : host_(host), path_(std::move(path)) {
  auto value = make_struct<otagate_value>();
  const otagate_host& table = host.table();
  if (table.option && table.option(table.context, host.instance(), str(path_), &value) == OTAGATE_OK)
    value_ = value;
}

inline Option Option::at(std::size_t index) const {
  return Option(host_, path_ + "." + std::to_string(index));
}

inline Option Option::operator[](std::string_view key) const {
  return Option(host_, path_.empty() ? std::string(key) : path_ + "." + std::string(key));
}

}  // namespace otagate::sdk

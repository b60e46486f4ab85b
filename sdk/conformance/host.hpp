// The host as the kit plays it: it gives what the ABI promises, and notes everything that the plugin must
// not do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "otagate/plugin.h"
#include "otagate/storage.h"
#include "subject.hpp"

namespace otagate::kit {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Ended {
  std::uint32_t status = OTAGATE_OK;
  std::string message;
  std::uint64_t retry_after_ms = 0;
  std::string text;  // a list's cursor, a presigned URL
};

struct ListedObject {
  std::string key;
  std::string change_token;
  std::string sha256;
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::uint32_t flags = 0;
};

// A call to the plugin. Filled in by its threads, read by the check once it has ended.
struct Call {
  enum class Result { none, list, presign };
  Result result = Result::none;
  bool objects_allowed = false;
  bool sink_allowed = false;
  // What the sink answers, given the bytes so far; may block. Null: go on.
  std::function<std::uint32_t(std::uint64_t got)> answer;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool stopped = false;
  Clock::time_point deadline = Clock::now() + std::chrono::seconds(30);
  unsigned completions = 0;
  Ended ended;
  std::vector<ListedObject> objects;
  std::string bytes;
  std::optional<std::uint64_t> total;
  std::string change_token;
  unsigned after_stop = 0;  // sink calls after it had said OTAGATE_STOP
  bool in_sink = false;

  // False when it has not completed by then.
  bool wait(milliseconds timeout);
  bool done();
};

// One instance of the plugin. The tables live as long as the process, so that a plugin that calls too
// late meets something that can say so.
class Instance {
 public:
  enum class HostTable { full, shortest };

  // Calls create(). `options` is borrowed, and so are the table of a transport's host and `user`, which
  // its functions find with instance_of(context)->user.
  Instance(Subject& subject, const char* interface, const toml::table& options,
           HostTable table = HostTable::full)
      : Instance(subject, interface, options, table, nullptr, nullptr) {}
  Instance(Subject& subject, const char* interface, const toml::table& options, const void* transport_host,
           void* user_data)
      : Instance(subject, interface, options, HostTable::full, transport_host, user_data) {}
  ~Instance();  // destroy(), if create() succeeded and nobody did
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  std::uint32_t created() const { return created_; }
  const std::string& create_error() const { return create_error_; }
  void* self() const { return self_; }
  Subject& subject() const { return subject_; }
  // Throws Failed when create() failed.
  void must_exist() const;

  // Makes a call: on a thread of its own where the plugin may block, one by one where it is not
  // thread-safe. The Call is kept for the instance's life.
  std::shared_ptr<Call> call(std::shared_ptr<Call> call, std::function<void(otagate_call)> invoke);
  // stopped and, if the plugin has one, cancel().
  void cancel(const std::shared_ptr<Call>& call, void (*plugin_cancel)(void*, otagate_call));
  otagate_call handle(const std::shared_ptr<Call>& call);
  void stop_threads();

  // Throws Failed with the first thing the plugin did that it must not.
  void no_violations();
  void violation(const std::string& what);
  void destroy();
  std::vector<std::string> events();
  std::uint32_t health();
  // The objects of what the store has assigned, once there are some; empty when none came in time.
  std::vector<ListedObject> assigned(milliseconds patience);

  const void* const transport_table;
  void* const user;

  struct Core;
  Core& core() { return *core_; }

  // Replies on the instance's reply thread, as the gateway does. Zero delay: as soon as possible.
  void post(std::function<void()> work, milliseconds delay = milliseconds(0));

 private:
  Instance(Subject& subject, const char* interface, const toml::table& options, HostTable table,
           const void* transport_host, void* user_data);

  Subject& subject_;
  Core* core_;  // never freed
  void* self_ = nullptr;
  std::uint32_t created_ = OTAGATE_INTERNAL;
  std::string create_error_;
  bool destroyed_ = false;
};

// The first thing that any plugin's instance of this process did wrong, or nothing. Once a check is over.
std::string first_violation();

// The instance behind a table's context.
Instance* instance_of(void* context);

}  // namespace otagate::kit

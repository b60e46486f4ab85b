// What stores and transports have in common: who they are, how they do, and what they tell.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "plugin/options.hpp"

namespace otagate::plugin {

using Pairs = std::vector<std::pair<std::string, std::string>>;

template <class T>
using Reply = std::function<void(Result<T>)>;

using CallId = std::uint64_t;  // of a call to a plugin; 0: none

// A configured store or transport, as it is created.
struct InstanceSpec {
  std::string name;
  std::string plugin;                           // id
  std::shared_ptr<const OptionSource> options;  // checked against the plugin's schema
};

enum class InstanceState {
  running,
  waiting,  // a listener's address is taken, an adapter is gone: it goes on by itself
  hung,     // a call is past its deadline and has not returned
  failed,   // could not be created, or abandoned; takes no more calls
  stopped,
};
std::string_view to_string(InstanceState state);

// What a plugin did that it should not, and what happened to its calls. Only grow.
struct InstanceCounters {
  std::uint64_t calls = 0;      // made to the plugin
  std::uint64_t completed = 0;  // in time
  std::uint64_t deadlines = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t refused = 0;   // not made: the queue was full or the instance has failed
  std::uint64_t late = 0;      // completed after the deadline or after cancel() was answered for it
  std::uint64_t stray = 0;     // completed twice, or never made
  std::uint64_t oversize = 0;  // messages beyond the ABI's bound
  std::uint64_t thrown = 0;    // exceptions that came out of the plugin
};

struct Metric {
  std::string name;
  bool gauge = false;  // else a counter
  double value = 0;
};

struct InstanceStatus {
  std::string name;
  std::string plugin;
  std::string interface;  // "otagate.storage/1"
  InstanceState state = InstanceState::running;
  std::string reason;         // why it is not running
  std::int64_t since_ms = 0;  // wall time of the last change of state
  std::uint64_t open_calls = 0;
  std::uint64_t open_readers = 0;
  std::uint64_t threads = 0;
  InstanceCounters counters;
  std::vector<Metric> metrics;
};

enum class Severity { info, warn, error };

// Where what instances say goes. Implemented by the gateway; must outlive the Registry. Any thread,
// must not block.
class InstanceListener {
 public:
  virtual ~InstanceListener() = default;
  virtual void event(std::string_view instance, Severity severity, std::string_view kind,
                     std::string_view subject, std::string_view message) = 0;
  // Its state, or the reason for it, changed.
  virtual void state_changed(std::string_view instance, InstanceState state, std::string_view reason) = 0;
  // Wall time never before the persisted floor, and whether it is synchronised.
  virtual std::int64_t now_ms(bool& synchronised) = 0;
};

}  // namespace otagate::plugin

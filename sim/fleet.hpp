// All simulated devices in one thread: their links, their timers, and what became of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "link.hpp"
#include "protocols.hpp"

namespace otagate::sim {

struct Share {
  const ProtocolName* protocol = nullptr;
  double weight = 0;
};

struct Settings {
  std::size_t devices = 1;
  std::optional<Address> http;  // numeric
  std::optional<Address> coap;
  std::vector<Share> mix;
  std::string type = "sim";
  std::string prefix = "sim-";
  std::string version = "1.0.0";
  std::uint64_t seed = 1;
  Odds odds;
  Habits habits;
  LinkSettings links;
  Milliseconds spread{0};                                   // within which they begin
  std::string token;                                        // of every device that `tokens` has none for
  std::vector<std::pair<std::string, std::string>> tokens;  // sorted by device
  bool until_idle = false;                                  // ends once all have settled
  std::optional<Milliseconds> limit;
};

// "poll=40,drogue-coap=20"; weights are relative. Null with why in `problem`.
std::optional<std::vector<Share>> parse_mix(std::string_view text, std::string& problem);
// "250ms", "1m30s", "2h"; nothing for anything else.
std::optional<Milliseconds> parse_duration(std::string_view text);

struct Census {
  std::size_t devices = 0;
  std::size_t settled = 0;
  std::size_t busy = 0;
  std::size_t gone = 0;
  std::size_t updated = 0;  // run another version than they began with
  std::uint64_t bytes = 0;
  std::uint64_t check_ins = 0;  // that were answered
};

class Fleet {
 public:
  explicit Fleet(Settings settings);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Blocks until the end that the settings say, or SIGINT or SIGTERM. `progress` is called once a second.
  void run(const std::function<void(const Census&)>& progress);
  Census census() const;
  // Every device ended as its dice said, and the gateway did nothing it must not.
  bool as_expected() const;
  // JSON, for --report.
  std::string report() const;

 private:
  class Node;
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace otagate::sim

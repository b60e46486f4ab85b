// What becomes of a device, decided before it starts: the same for the same seed and number.
#pragma once

#include <cstdint>
#include <string_view>

namespace otagate::sim {

// SplitMix64: small, the same on every machine, good enough for dice.
class Chance {
 public:
  Chance(std::uint64_t seed, std::uint64_t stream);
  std::uint64_t next();
  double share();  // [0, 1)
  bool happens(double probability) { return probability > 0 && share() < probability; }

 private:
  std::uint64_t state_;
};

// Probabilities, 0 to 1. `silent`, `fail` and `revert` exclude each other and are at most 1 together.
struct Odds {
  double silent = 0;
  double fail = 0;
  double revert = 0;
  double crash = 0;
};

enum class End : std::uint8_t {
  good,     // runs what it was offered
  silent,   // takes an update on and is never heard again
  fails,    // says that the update failed
  reverts,  // comes back from the swap with what it ran before
};
std::string_view to_string(End end);

struct Fate {
  End end = End::good;
  double silent_at = 0;  // share of the image; from 0.8 on: with all of it, instead of coming back
  bool crashes = false;  // once, in the middle of a download, whatever its end
  double crash_at = 0;   // share of the image
  bool forgets = false;  // what it had is lost with the crash
};

Fate roll(std::uint64_t seed, std::uint64_t device, const Odds& odds);

}  // namespace otagate::sim

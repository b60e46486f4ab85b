#include "dice.hpp"

namespace otagate::sim {

Chance::Chance(std::uint64_t seed, std::uint64_t stream) : state_(seed) {
  // Streams of neighbouring numbers must not be each other's continuation.
  state_ = next() ^ (stream * 0xD1B54A32D192ED03ULL);
  state_ = next();
}

std::uint64_t Chance::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

double Chance::share() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

std::string_view to_string(End end) {
  switch (end) {
    case End::good: return "good";
    case End::silent: return "silent";
    case End::fails: return "fails";
    case End::reverts: return "reverts";
  }
  return "";
}

Fate roll(std::uint64_t seed, std::uint64_t device, const Odds& odds) {
  Chance chance(seed, device);
  Fate fate;
  // Every die is thrown each time, so that another probability changes only what it is about.
  const double end = chance.share();
  if (end < odds.silent) {
    fate.end = End::silent;
  } else if (end < odds.silent + odds.fail) {
    fate.end = End::fails;
  } else if (end < odds.silent + odds.fail + odds.revert) {
    fate.end = End::reverts;
  }
  fate.silent_at = chance.share();
  fate.crashes = chance.happens(odds.crash);
  fate.crash_at = chance.share();
  fate.forgets = chance.share() < 0.5;
  return fate;
}

}  // namespace otagate::sim

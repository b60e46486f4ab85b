// How a deployment spreads: in what steps, how many at once, when, and when it stops by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "rollout/amount.hpp"
#include "rollout/window.hpp"

namespace otagate::rollout {

struct Policy {
  // How many devices may have begun, wave by wave; each at least as many as the one before. A share is one of
  // the members that are not up to date by themselves.
  std::vector<Amount> waves = {Amount::all()};
  // Of a wave, how many must have succeeded before the next one begins. A wave that cannot reach it any more
  // pauses the deployment.
  Amount advance_at{90, true};
  // Failed devices, of the current wave, at which it pauses and at which it is aborted.
  std::optional<Amount> pause_at;
  std::optional<Amount> abort_at;
  std::uint32_t concurrency = 0;  // devices at once; 0: no limit

  std::vector<Window> windows;  // attempts begin in these only
  bool window_without_clock = false;

  std::uint32_t attempts = 3;                                       // of a device, before it counts as failed
  std::chrono::milliseconds retry_first{std::chrono::minutes(10)};  // doubles
  std::chrono::milliseconds retry_most{std::chrono::hours(6)};
  std::chrono::milliseconds silence{std::chrono::minutes(30)};  // nothing heard of an attempt: it timed out
  std::chrono::milliseconds apply{std::chrono::hours(1)};       // the same once the device applies

  // Begins no attempt so long after its creation, by a synchronised clock; 0: it stands for good.
  std::chrono::milliseconds deadline{0};
  bool approval = false;   // begins only once approved
  bool once = false;       // who matches later is no member
  bool downgrade = false;  // also to an older version, or one that has no order
  bool stream = false;     // devices may begin before the blob is verified
};

}  // namespace otagate::rollout

// A number of devices, given as a count or as a share of them.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::rollout {

struct Amount {
  std::uint32_t value = 0;
  bool percent = false;

  // "25", or "10%" with at most 100; not 0. invalid with what to write instead.
  static Result<Amount> parse(std::string_view text);
  static constexpr Amount all() { return {100, true}; }

  // Of `devices`, at most that many. A share is rounded up, so that of any device it is at least one.
  std::uint32_t of(std::uint32_t devices) const;
  std::string text() const;
  auto operator<=>(const Amount&) const = default;
};

}  // namespace otagate::rollout

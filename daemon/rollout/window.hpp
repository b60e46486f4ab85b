// Maintenance windows: when in the week, by the machine's time zone, updates may begin.
//
// Where clocks go forward a window that lies in the hour left out does not open that day; where they go back
// one in the hour that comes twice is open twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::rollout {

struct LocalTime {
  int weekday = 0;  // 0: Monday
  int minute = 0;   // since midnight
};

// By TZ or /etc/localtime. `wall_ms`: since 1970, UTC.
LocalTime local_time(std::int64_t wall_ms);

struct Window {
  std::uint8_t days = 0x7f;  // those on which it opens; bit 0: Monday
  std::uint16_t from = 0;    // minutes since midnight
  std::uint16_t to = 0;      // at or before `from`: on the next day

  // "02:00-04:00", "Sat,Sun 22:00-06:00", "Mon-Fri 01:30-05:00". invalid with what to write instead.
  static Result<Window> parse(std::string_view text);
  std::string text() const;
  bool contains(LocalTime at) const;
};

// No window at all: always open.
bool is_open(std::span<const Window> windows, LocalTime at);
// When the next one opens, later than `wall_ms`; nothing for a week and a day at most.
std::optional<std::int64_t> opens_at(std::span<const Window> windows, std::int64_t wall_ms);

}  // namespace otagate::rollout

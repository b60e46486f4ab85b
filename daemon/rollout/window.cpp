#include "rollout/window.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace otagate::rollout {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr int kMinutesOfDay = 24 * 60;
constexpr std::int64_t kMsPerSecond = 1000;

std::optional<int> day_of(std::string_view text) {
  const auto found = std::ranges::find(kDays, text);
  if (found == kDays.end()) return std::nullopt;
  return static_cast<int>(found - kDays.begin());
}

// "Mon", "Mon-Fri"; the second may come before the first in the week.
std::optional<std::uint8_t> days_of(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = day_of(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : day_of(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  unsigned days = 0;
  for (int day = *first;; day = (day + 1) % 7) {
    days |= 1u << day;
    if (day == *last) return static_cast<std::uint8_t>(days);
  }
}

// "HH:MM", 00:00 to 24:00.
std::optional<int> minute_of(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  int hours = 0;
  int minutes = 0;
  const auto digits = [&](std::size_t at, int& into) {
    const char* const begin = text.data() + at;
    return std::from_chars(begin, begin + 2, into).ptr == begin + 2;
  };
  if (!digits(0, hours) || !digits(3, minutes) || hours < 0 || minutes < 0 || minutes > 59)
    return std::nullopt;
  const int all = hours * 60 + minutes;
  if (all > kMinutesOfDay) return std::nullopt;
  return all;
}

std::string clock_text(int minute) {
  const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return two(minute / 60) + ":" + two(minute % 60);
}

}  // namespace

LocalTime local_time(std::int64_t wall_ms) {
  const time_t seconds = wall_ms / kMsPerSecond;
  struct tm local {};
  ::localtime_r(&seconds, &local);
  return {(local.tm_wday + 6) % 7, local.tm_hour * 60 + local.tm_min};
}

Result<Window> Window::parse(std::string_view text) {
  const Error wrong(Code::invalid,
                    "'" + std::string(text) +
                        "' is no maintenance window; write 02:00-04:00, Sat,Sun 22:00-06:00 or "
                        "Mon-Fri 01:30-05:00");
  Window window;
  std::string_view clock = text;
  if (const auto blank = text.find(' '); blank != std::string_view::npos) {
    clock = text.substr(blank + 1);
    unsigned days = 0;
    for (std::string_view rest = text.substr(0, blank);;) {
      const auto comma = rest.find(',');
      const auto some = days_of(rest.substr(0, comma));
      if (!some) return tl::unexpected(wrong);
      days |= *some;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    window.days = static_cast<std::uint8_t>(days);
  }
  const auto dash = clock.find('-');
  if (dash == std::string_view::npos) return tl::unexpected(wrong);
  const auto from = minute_of(clock.substr(0, dash));
  const auto to = minute_of(clock.substr(dash + 1));
  if (!from || !to || *from == kMinutesOfDay) return tl::unexpected(wrong);
  window.from = static_cast<std::uint16_t>(*from);
  window.to = static_cast<std::uint16_t>(*to);
  return window;
}

std::string Window::text() const {
  std::string days_text;
  if (days != 0x7f)
    for (std::size_t day = 0; day < kDays.size(); ++day)
      if ((days >> day & 1u) != 0) days_text += (days_text.empty() ? "" : ",") + std::string(kDays[day]);
  return days_text + (days_text.empty() ? "" : " ") + clock_text(from) + "-" + clock_text(to);
}

bool Window::contains(LocalTime at) const {
  const auto opens_on = [this](int weekday) { return (days >> weekday & 1) != 0; };
  if (from < to) return opens_on(at.weekday) && at.minute >= from && at.minute < to;
  return (opens_on(at.weekday) && at.minute >= from) || (opens_on((at.weekday + 6) % 7) && at.minute < to);
}

bool is_open(std::span<const Window> windows, LocalTime at) {
  return windows.empty() ||
         std::ranges::any_of(windows, [at](const Window& one) { return one.contains(at); });
}

std::optional<std::int64_t> opens_at(std::span<const Window> windows, std::int64_t wall_ms) {
  const time_t seconds = wall_ms / kMsPerSecond;
  std::optional<std::int64_t> earliest;
  for (int days = 0; days <= 8 && !earliest; ++days) {
    for (const Window& window : windows) {
      struct tm at {};
      ::localtime_r(&seconds, &at);
      at.tm_mday += days;
      at.tm_hour = window.from / 60;
      at.tm_min = window.from % 60;
      at.tm_sec = 0;
      at.tm_isdst = -1;
      const std::int64_t opens = std::int64_t{::mktime(&at)} * kMsPerSecond;
      // Not on a day on which it does not open, nor in an hour that the day does not have.
      if (opens <= wall_ms || !window.contains(local_time(opens))) continue;
      if (!earliest || opens < *earliest) earliest = opens;
    }
  }
  return earliest;
}

}  // namespace otagate::rollout

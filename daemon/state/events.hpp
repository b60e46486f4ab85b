// The event log: what an operator should know, ordered by a sequence that no clock can upset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

enum class Severity : int { info = 0, notice = 1, warning = 2, error = 3 };
std::string_view to_string(Severity severity);

struct Event {
  std::int64_t sequence = 0;  // given on append; grows, never used twice
  std::int64_t wall_ms = 0;
  bool clock_synchronised = false;  // whether wall_ms can be believed
  std::string kind{};               // "republished", "verify.failed", ...
  Severity severity = Severity::info;
  // Subjects, where the event has them.
  std::optional<std::string> instance{};  // store or transport
  std::optional<std::string> firmware{};  // "name/version/type"
  std::optional<Digest> blob{};
  std::optional<std::string> device{};
  std::string message{};  // one line for people
  std::string data{};     // JSON object for machines; empty: none
};

struct EventLimits {
  std::int64_t max_count = 20'000;
  std::int64_t max_age_ms = std::int64_t{90} * 24 * 3600 * 1000;
};

// Returns the sequence. Every 256th append also prunes by count. Message and data beyond 4 KiB and 16 KiB
// are refused with Code::invalid.
Result<std::int64_t> append_event(Writer& db, const Event& event, const EventLimits& limits = {});

// Prunes by count and, if the clock is synchronised, by age (only events that were themselves stamped by a
// synchronised clock); at most 1000 in one call. Returns how many. For a timer.
Result<std::int64_t> prune_events(Writer& db, const EventLimits& limits, std::int64_t wall_ms,
                                  bool clock_synchronised);

struct EventQuery {
  std::optional<std::int64_t> after{};   // ascending from there
  std::optional<std::int64_t> before{};  // descending from there; ignored if `after` is set
  std::optional<std::string> kind{};     // exact, or "verify." for all that start so
  std::size_t limit = 100;               // bounded by kEventPage
};
inline constexpr std::size_t kEventPage = 1000;

// Newest first unless `after` is set.
Result<std::vector<Event>> page_events(Reader& db, const EventQuery& query);

// 0 if there was never one.
Result<std::int64_t> last_event(Reader& db);

}  // namespace otagate::state

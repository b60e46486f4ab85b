// Conditional requests: RFC 9110 section 13. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace otagate::http {

// The values of the conditional fields as they were received; empty: not sent.
struct Conditions {
  std::string_view if_match;
  std::string_view if_none_match;
  std::string_view if_modified_since;
  std::string_view if_unmodified_since;
  std::string_view if_range;
};

// What the entity has to be compared with. `tag` is without quotes and always strong.
struct Validators {
  std::string_view tag;
  std::int64_t modified_s = 0;  // 0: unknown
};

enum class Verdict { kProceed, kNotModified, kPreconditionFailed };

// For GET and HEAD, in the order of section 13.2.2. A date that cannot be read is ignored, an entity tag
// list that cannot be read matches nothing.
Verdict evaluate(const Conditions& conditions, const Validators& validators);

// False: the entity is not the one If-Range names, so the Range field does not count (section 13.1.5).
bool range_applies(std::string_view if_range, const Validators& validators);

// Seconds since 1970 of any of the three date forms of section 5.6.7.
std::optional<std::int64_t> parse_date(std::string_view text);

inline constexpr std::size_t kDateSize = 29;
// "Sun, 06 Nov 1994 08:49:37 GMT" into exactly kDateSize bytes.
void format_date(std::int64_t seconds, char* out);

}  // namespace otagate::http

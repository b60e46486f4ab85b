// Path patterns: `{type}/{name}-{version}.bin` says where an object's key carries its identity.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace otagate::firmware {

struct PatternMatch {
  std::optional<std::string> name, version, type;  // set when the pattern has the field
};

// Compiled once, matched against whole keys; immutable, any thread.
//
//   {name} {type}   one or more characters except '/', as few as possible from left to right
//   {version}       at most one; where several places fit, the best shape wins (semantic, dotted,
//                   integer), then the last place, then the longest text. So `{name}-{version}.bin`
//                   takes "1.2.3-rc.1" out of "a-2-1.2.3-rc.1.bin". A leading "v" is left out.
//   {any} or *      any number of characters except '/'
//   **/             any number of folders, none included
//   {{ }}           a brace
//
// Time is O(length of the key x length of the pattern) plus at most 64 steps per byte for {version};
// keys over kMaxKey bytes do not match.
class Pattern {
 public:
  // The error names the position and what to write instead.
  static Result<Pattern> compile(std::string_view text);

  std::optional<PatternMatch> match(std::string_view key) const;
  const std::string& text() const { return text_; }

 private:
  enum class Kind { literal, name, type, version, any, folders };
  struct Part {
    Kind kind;
    std::string literal;
  };
  struct Matcher;
  Pattern() = default;

  std::string text_;
  std::vector<Part> parts_;
};

// The first pattern that matches, or nothing.
std::optional<PatternMatch> match_first(const std::vector<Pattern>& patterns, std::string_view key);

}  // namespace otagate::firmware

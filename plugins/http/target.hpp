// The request target: path segments and query, percent-decoded. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "http/problem.hpp"

namespace otagate::http {

inline constexpr std::size_t kMaxTargetSize = 4096;  // bytes as sent; 414 beyond
inline constexpr std::size_t kMaxSegments = 16;
inline constexpr std::size_t kMaxParameters = 32;

struct Target {
  std::vector<std::string> segments;  // decoded; "/firmware/a%2Fb" has two: "firmware", "a/b"
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order

  // The first parameter of that name; empty when there is none.
  std::string_view parameter(std::string_view name) const;
};

// Takes origin form ("/a/b?c=d") and absolute form ("http://host/a/b"). Everything in the result is
// UTF-8 without control characters; a segment is never ".", ".." or empty.
tl::expected<Target, Problem> parse_target(std::string_view raw);

bool valid_text(std::string_view text);  // UTF-8 without control characters

}  // namespace otagate::http

// What is wrong in a configuration, where, and what to write instead.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/value.hpp"

namespace otagate {

struct Problem {
  Location where;
  std::string key;      // "store.s3-main.interval", "" for the file as a whole
  std::string message;  // what is wrong; never contains the text of a secret
  std::string advice;   // what to write instead, may be empty

  // "/etc/otagate/otagate.toml:12:3: store.s3-main.interval: 2s is too short; write ..."
  std::string to_string() const;
};

using Problems = std::vector<Problem>;

// One line each, in order.
std::string to_string(const Problems& problems);
// All of them as one Error (Code::invalid), for callers that speak Result<T>.
Error to_error(const Problems& problems);

// The candidate nearest to `word` by edit distance, "" when none is near enough to be meant.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace otagate

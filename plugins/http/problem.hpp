// Why a request is not served, in the words of HTTP. Values; no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace otagate::http {

// `message` is for people: what was wrong and what to do.
struct Problem {
  unsigned status = 500;
  std::string message;
  std::uint64_t retry_after_s = 0;  // 0: no Retry-After
};

// How to sign in: what a 401 has to say.
inline constexpr std::string_view kChallenge =
    "WWW-Authenticate: Bearer realm=\"otagate\"\r\nWWW-Authenticate: Basic realm=\"otagate\", "
    "charset=\"UTF-8\"\r\n";

// "Partial Content" for 206; "Unknown" for a status this plugin never sends.
std::string_view reason_phrase(unsigned status);

// The JSON body of an error: {"error":404,"reason":"Not Found","message":"..."} and a line feed.
std::string problem_body(const Problem& problem);

}  // namespace otagate::http

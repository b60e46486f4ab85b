// Answers without a representation.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "otagate/plugin.h"

namespace otagate::coap {

// A CoAP code as the byte on the wire: code_of(4, 4) is 4.04.
constexpr std::uint8_t code_of(unsigned code_class, unsigned detail) {
  return static_cast<std::uint8_t>(code_class << 5 | detail);
}

inline constexpr std::uint32_t kMinRetry = 1;  // seconds, of Max-Age in a 5.03
inline constexpr std::uint32_t kMaxRetry = 60;

struct Problem {
  std::uint8_t code = 0;      // 0: no problem
  std::uint32_t max_age = 0;  // seconds; 0: not said
  std::string text;           // diagnostic payload

  explicit operator bool() const { return code != 0; }
};

inline std::uint32_t retry_seconds(std::chrono::milliseconds after) {
  const auto seconds = (after.count() + 999) / 1000;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, kMinRetry, kMaxRetry));
}

inline Problem not_yet(std::chrono::milliseconds after, std::string text = "not fetched yet") {
  return {code_of(5, 3), retry_seconds(after), std::move(text)};
}

// What a host's status means to a peer. `retry_after` as the host said it.
inline Problem problem_of(std::uint32_t status, std::chrono::milliseconds retry_after) {
  switch (status) {
    case OTAGATE_NOT_FOUND: return {code_of(4, 4), 0, "no such firmware"};
    case OTAGATE_DENIED: return {code_of(4, 1), 0, ""};
    case OTAGATE_INVALID: return {code_of(4, 0), 0, "not understood"};
    case OTAGATE_PRECONDITION: return {code_of(4, 12), 0, "start again at block 0"};
    case OTAGATE_REJECTED: return {code_of(5, 2), 0, "the bytes failed verification"};
    case OTAGATE_PERMANENT: return {code_of(5, 2), 0, "the store does not have it any more"};
    case OTAGATE_UNSUPPORTED: return {code_of(5, 1), 0, ""};
    case OTAGATE_TRANSIENT:
    case OTAGATE_NO_SPACE: return not_yet(retry_after, "cannot be fetched now");
    case OTAGATE_CHANGED:
    case OTAGATE_CLOCK:
    case OTAGATE_THROTTLED:
    case OTAGATE_CANCELLED:
    case OTAGATE_DEADLINE:
    case OTAGATE_BUSY: return not_yet(retry_after);
    default: return {code_of(5, 0), 0, ""};
  }
}

}  // namespace otagate::coap

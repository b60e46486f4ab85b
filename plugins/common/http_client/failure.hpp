// How an attempt failed, in the words of the plugin ABI.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "otagate/plugin.h"

namespace otagate::common {

// `message` says what was wrong, where and what to do, and holds no secret.
struct Failure {
  std::uint32_t status = OTAGATE_INTERNAL;  // OTAGATE_*, never OTAGATE_OK
  std::string message;
  std::uint64_t retry_after_ms = 0;  // 0: not said

  Failure with_context(std::string_view context) && {
    message.insert(0, ": ").insert(0, context);
    return std::move(*this);
  }
};

template <class T>
using Outcome = tl::expected<T, Failure>;

inline tl::unexpected<Failure> fail(std::uint32_t status, std::string message) {
  return tl::unexpected<Failure>(Failure{status, std::move(message), 0});
}
inline tl::unexpected<Failure> fail(Failure failure) { return tl::unexpected<Failure>(std::move(failure)); }

}  // namespace otagate::common

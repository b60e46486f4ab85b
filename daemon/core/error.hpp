// The one error type of the daemon, and Result<T>, which carries it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace otagate {

// What went wrong, in the classes that decide what happens next. Values match
// OTAGATE_* status codes of the plugin ABI, so that a plugin's completion maps one to one.
enum class Code : std::uint32_t {
  ok = 0,
  transient = 1,  // try again later: network, upstream 5xx
  permanent = 2,  // trying again does not help
  changed = 3,    // the object is no longer the one that was asked for
  not_found = 4,
  denied = 5,     // credentials missing or refused
  clock = 6,      // the peer says our clock is wrong
  throttled = 7,  // the peer asks for patience; see retry_after_ms
  cancelled = 8,
  deadline = 9,
  unsupported = 10,
  invalid = 11,  // the input is wrong; the message says what to write instead
  internal = 12,
  busy = 13,  // a bound was reached; try again
  no_space = 14,
  rejected = 15,      // verification failed
  ambiguous = 16,     // several device types have that name and version
  precondition = 17,  // the caller holds bytes of another entity
};

// "transient", "not_found", ...: the spelling used in logs, events and the admin API.
std::string_view to_string(Code code);

// An error names what was wrong, where, and what to do. Value type, any thread.
class Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // Milliseconds the peer asked us to wait, 0 if it did not.
  std::uint64_t retry_after_ms() const { return retry_after_ms_; }

  // "reading x.toml: no such file": the context goes in front.
  Error with_context(std::string_view context) const&;
  Error with_context(std::string_view context) &&;
  Error with_retry_after(std::uint64_t ms) &&;

 private:
  Code code_;
  std::string message_;
  std::uint64_t retry_after_ms_ = 0;
};

// errno of a failed system call as an Error: "open /x/y: Permission denied".
// ENOSPC, EDQUOT: no_space. ENOENT: not_found. EACCES, EPERM: denied. EIO, EROFS: permanent. Else transient.
Error errno_error(std::string_view what, int error_number);

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace otagate

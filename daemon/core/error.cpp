#include "core/error.hpp"

#include <cerrno>
#include <system_error>

namespace otagate {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::transient: return "transient";
    case Code::permanent: return "permanent";
    case Code::changed: return "changed";
    case Code::not_found: return "not_found";
    case Code::denied: return "denied";
    case Code::clock: return "clock";
    case Code::throttled: return "throttled";
    case Code::cancelled: return "cancelled";
    case Code::deadline: return "deadline";
    case Code::unsupported: return "unsupported";
    case Code::invalid: return "invalid";
    case Code::internal: return "internal";
    case Code::busy: return "busy";
    case Code::no_space: return "no_space";
    case Code::rejected: return "rejected";
    case Code::ambiguous: return "ambiguous";
    case Code::precondition: return "precondition";
  }
  return "internal";
}

Error Error::with_context(std::string_view context) const& { return Error(*this).with_context(context); }

Error Error::with_context(std::string_view context) && {
  message_.insert(0, ": ").insert(0, context);
  return std::move(*this);
}

Error Error::with_retry_after(std::uint64_t ms) && {
  retry_after_ms_ = ms;
  return std::move(*this);
}

Error errno_error(std::string_view what, int error_number) {
  Code code = Code::transient;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: code = Code::no_space; break;
    case ENOENT: code = Code::not_found; break;
    case EACCES:
    case EPERM: code = Code::denied; break;
    case EIO:
    case EROFS: code = Code::permanent; break;  // a disk that fails is not mended by another try
    default: break;
  }
  return {code, std::string(what) + ": " + std::generic_category().message(error_number)};
}

}  // namespace otagate

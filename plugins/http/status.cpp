#include "http/status.hpp"

#include <string>

#include "otagate/plugin.h"

namespace otagate::http {
namespace {

constexpr std::uint64_t kRetryAfterS = 5;  // where the host names no time

Problem later(std::uint64_t retry_after_ms, std::string_view message, std::string_view otherwise) {
  const std::uint64_t seconds = retry_after_ms == 0 ? kRetryAfterS : (retry_after_ms + 999) / 1000;
  return Problem{503, std::string(message.empty() ? otherwise : message), seconds};
}

Problem final_answer(unsigned status, std::string_view message, std::string_view otherwise) {
  return Problem{status, std::string(message.empty() ? otherwise : message), 0};
}

}  // namespace

Problem problem_of(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message,
                   bool known_peer) {
  switch (status) {
    case OTAGATE_NOT_FOUND:
      return final_answer(404, message, "there is no such firmware here; GET /firmware lists what there is");
    case OTAGATE_DENIED:
      if (known_peer) return final_answer(403, message, "this credential may not do that");
      return final_answer(401, message, "send a credential: Authorization: Bearer <token>, or Basic");
    case OTAGATE_INVALID: return final_answer(400, message, "the request makes no sense to the gateway");
    case OTAGATE_REJECTED:
      return final_answer(502, message, "the bytes that the store delivers failed verification");
    case OTAGATE_PERMANENT: return final_answer(502, message, "the store cannot deliver this firmware");
    case OTAGATE_PRECONDITION:
      return final_answer(412, message,
                          "bytes that this address already has failed verification: start again at offset 0");
    case OTAGATE_TRANSIENT:
      return later(retry_after_ms, message, "not in the cache, and the store cannot be reached now");
    case OTAGATE_DEADLINE: return later(retry_after_ms, message, "still being fetched from the store");
    case OTAGATE_CHANGED: return later(retry_after_ms, message, "the firmware was replaced just now");
    case OTAGATE_BUSY:
    case OTAGATE_THROTTLED: return later(retry_after_ms, message, "the gateway has too much to do");
    case OTAGATE_CLOCK: return later(retry_after_ms, message, "the gateway's clock is not set");
    case OTAGATE_CANCELLED: return later(retry_after_ms, message, "the gateway stopped this request");
    case OTAGATE_NO_SPACE: return later(retry_after_ms, message, "the gateway's cache is full");
    default: return final_answer(500, message, "the gateway failed; its log says why");
  }
}

}  // namespace otagate::http

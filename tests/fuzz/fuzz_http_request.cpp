// links: otagate_http_pure
// A request's head and everything that is read out of it.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "http/authorization.hpp"
#include "http/conditions.hpp"
#include "http/request.hpp"
#include "http/target.hpp"

namespace http = otagate::http;

namespace {

void must_lie_within(std::string_view part, std::string_view whole) {
  if (part.data() == nullptr || part.empty()) return;
  const std::less<const char*> before;
  if (before(part.data(), whole.data()) || before(whole.data() + whole.size(), part.data() + part.size()))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::size_t searched = 0;
  const std::size_t head_size = http::find_head(bytes, searched);
  if (head_size == 0) return 0;
  const std::string_view head = bytes.substr(0, head_size);
  http::Request request;
  if (const auto problem = http::parse_request(head, request)) {
    if (problem->status < 400 || problem->message.empty()) std::abort();
    return 0;
  }
  for (const std::string_view part :
       {request.target, request.authorization, request.range, request.conditions.if_match,
        request.conditions.if_none_match, request.conditions.if_modified_since,
        request.conditions.if_unmodified_since, request.conditions.if_range}) {
    must_lie_within(part, head);
  }
  if (const auto target = http::parse_target(request.target)) {
    for (const std::string& segment : target->segments) {
      if (segment.empty() || segment == "." || segment == ".." || !http::valid_text(segment)) std::abort();
    }
  }
  if (request.authorization.data() != nullptr) (void)http::parse_authorization(request.authorization);
  const http::Validators validators{"e3b0c44298fc1c14", 784111777};
  (void)http::evaluate(request.conditions, validators);
  (void)http::range_applies(request.conditions.if_range, validators);
  return 0;
}

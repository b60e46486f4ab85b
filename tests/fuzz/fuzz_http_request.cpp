// links: otagate_http_pure otagate_authorization
// A request's head and everything that is read out of it.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "common/authorization/authorization.hpp"
#include "http/base_url.hpp"
#include "http/body.hpp"
#include "http/conditions.hpp"
#include "http/device_answer.hpp"
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

// In one go and byte by byte, it is the same body, and never larger than the limit.
void must_read_body_in_bounds(std::string_view head, std::string_view bytes) {
  constexpr std::uint64_t kLimit = 100;
  http::BodyReader at_once(head, kLimit, http::BodyReader::Keep::kYes);
  std::size_t used = at_once.problem() ? 0 : at_once.feed(bytes);
  if (used > bytes.size() || at_once.text().size() > kLimit) std::abort();
  http::BodyReader in_steps(head, kLimit, http::BodyReader::Keep::kYes);
  std::size_t begin = 0;
  for (std::size_t end = 1; end <= bytes.size() && !in_steps.done() && !in_steps.problem(); ++end)
    begin += in_steps.feed(bytes.substr(begin, end - begin));
  if (at_once.done() != in_steps.done() || at_once.problem().has_value() != in_steps.problem().has_value())
    std::abort();
  if (at_once.done() && (begin != used || at_once.text() != in_steps.text())) std::abort();
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
  for (const std::string_view part : {request.target, request.host, request.content_type, request.accept,
                                      request.authorization, request.range, request.conditions.if_match,
                                      request.conditions.if_none_match, request.conditions.if_modified_since,
                                      request.conditions.if_unmodified_since, request.conditions.if_range}) {
    must_lie_within(part, head);
  }
  if (request.has_body) must_read_body_in_bounds(head, bytes.substr(head_size));
  if (const auto target = http::parse_target(request.target)) {
    for (const std::string& segment : target->segments) {
      if (segment.empty() || segment == "." || segment == ".." || !http::valid_text(segment)) std::abort();
    }
  }
  if (request.authorization.data() != nullptr)
    (void)otagate::plugins::parse_authorization(request.authorization);
  // What names this listener in the URLs that devices are given ends neither the URL's authority nor a line.
  if (http::valid_host(request.host) && request.host.find_first_of("/?#@ \r\n\t\\") != std::string_view::npos)
    std::abort();
  otagate::plugins::devices::Response answer;
  answer.content_type = http::media_type(request.content_type);
  if (const auto fields = http::answer_fields(answer); fields && fields->find('\n') + 1 != fields->size())
    std::abort();
  const http::Validators validators{"e3b0c44298fc1c14", 784111777};
  (void)http::evaluate(request.conditions, validators);
  (void)http::range_applies(request.conditions.if_range, validators);
  return 0;
}

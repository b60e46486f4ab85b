// links: otagate_http_client
// What a peer writes into Retry-After, Date and Location, and what is shown of URLs.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

bool showable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::common;
  const std::string text(reinterpret_cast<const char*>(data), size);
  constexpr std::uint64_t kDayMs = 86'400'000;

  const auto early = parse_retry_after(text, 0);
  const auto late = parse_retry_after(text, 1'700'000'000);
  require(early.has_value() == late.has_value());
  if (early) require(*early <= kDayMs && *late <= *early);
  HttpHead head{503, {{"date", text}, {"retry-after", text}}};
  const Failure failure = status_failure(head, "GET", text);
  require(failure.retry_after_ms <= kDayMs && showable(failure.message));

  if (const auto url = parse_url(text)) {
    require(url->scheme == "http" || url->scheme == "https");
    require(!url->host.empty() && url->path.starts_with('/'));
    const std::string shown = redacted_url(text);
    require(showable(shown) && shown.find('#') == std::string::npos);
    const auto again = parse_url(url->scheme + "://" + url->authority() + url->path);
    require(again && again->origin() == url->origin());
  }
  if (const auto next = resolve_url("https://host/folder/file", text)) parse_url(*next);
  require(percent_decode(percent_encode(text)) == text);
  return 0;
}

// links: otagate_web_parts
// What servers list, through the adapter of Boost.JSON and into keys. What comes out must keep the
// adapter's promises: bounded and showable texts, keys that lead back to the URL they stand for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/http_client/url.hpp"
#include "web/page.hpp"
#include "web/place.hpp"
#include "web/validator.hpp"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

bool showable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::web;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Place place = *Place::make("https://h.example/fw/index.json");

  for (const Format wanted : {Format::automatic, Format::index, Format::folder}) {
    const auto page = parse_page(text, wanted, 1000);
    if (!page) {
      require(page.error().status == OTAGATE_PERMANENT && showable(page.error().message));
      continue;
    }
    require(page->format != Format::automatic && (wanted == Format::automatic || page->format == wanted));
    require(page->entries.size() + page->skipped <= 1000);
    require(page->reasons.size() <= 5 && page->reasons.size() <= page->skipped);
    for (const std::string& reason : page->reasons) require(showable(reason) && reason.size() < 300);
    for (const Entry& entry : page->entries) {
      require(!entry.target.empty() && entry.target.size() <= kMaxReference);
      for (const std::string* said :
           {&entry.name, &entry.version, &entry.type, &entry.kind, &entry.dependency})
        require(said->size() <= kMaxText && showable(*said));
      require(entry.sha256.empty() || entry.sha256.size() == 64);
      require(entry.modified >= 0);
      const auto url = page->format == Format::folder
                           ? otagate::common::Outcome<std::string>(
                                 child_url("https://h.example/fw/", entry.target, entry.directory))
                           : place.resolve("https://h.example/fw/index.json", entry.target);
      if (!url) continue;
      require(url->starts_with("https://"));
      const auto back = place.url_of(place.key_of(*url));
      require(back && *back == *url);
      if (page->format == Format::folder) require(place.own(*url));
    }
  }

  if (const auto known = parse_token(text)) {
    const std::string token = token_of(*known);
    if (!token.empty()) {
      const auto again = parse_token(token);
      require(again && same(*known, *again));
    }
  }
  if (const auto url = place.url_of(text)) require(url->starts_with("https://"));
  return 0;
}

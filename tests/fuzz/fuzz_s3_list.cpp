// links: otagate_s3_parts
// S3's XML through the adapter of pugixml, and the texts of its headers. What comes out must keep the
// adapter's promises: usable keys, order, nothing after a stop, messages fit to show.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/object_store/ranges.hpp"
#include "s3/answer.hpp"
#include "s3/list_xml.hpp"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

bool showable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::s3;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  // The root decides which of the two kinds of page it can be.
  const bool versions = text.find("ListVersionsResult") != std::string_view::npos;
  std::vector<std::string> keys;
  std::string copy(text);
  const auto end = parse_list(copy, versions, [&](ListedObject object) {
    require(!object.key.empty() && object.key.size() <= 1024);
    require(object.key.find('\0') == std::string::npos && object.key.back() != '/');
    const auto token = otagate::common::parse_token(otagate::common::make_token(object.etag, object.size));
    require(token && token->etag == object.etag && token->size == object.size);
    keys.push_back(std::move(object.key));
    return true;
  });
  if (end) {
    std::size_t seen = 0;
    copy = text;
    require(parse_list(copy, versions, [&](ListedObject object) {
              require(object.key == keys[seen]);
              return ++seen < keys.size() / 2;
            }).has_value());
    require(seen <= std::max<std::size_t>(keys.size() / 2, 1));
  } else {
    require(keys.empty() && showable(end.error().message));
  }

  const ErrorDocument error = parse_error(text);
  for (const std::string& part : {error.code, error.message, error.region, error.endpoint}) {
    require(part.size() <= 200 && showable(part));
  }
  otagate::common::HttpResponse response;
  response.head.status = size == 0 ? 403 : 300 + data[0];
  response.body = text;
  response.head.headers = {{"x-amz-bucket-region", std::string(text)},
                           {"date", std::string(text)},
                           {"x-amz-checksum-sha256", std::string(text)}};
  const auto failure =
      failure_of(response, {"GET", "https://h/k?X-Amz-Signature=s", "b", "r", false, false, 0});
  require(failure.status != OTAGATE_OK && showable(failure.message) && failure.message.size() < 2000);
  const std::string checksum = checksum_of(response.head);
  require(checksum.empty() || checksum.size() == 64);

  if (const auto range = otagate::common::parse_content_range(text); range && range->satisfied) {
    require(range->first <= range->last && range->last < range->total);
  }
  otagate::common::parse_iso8601_ms(text);
  return 0;
}

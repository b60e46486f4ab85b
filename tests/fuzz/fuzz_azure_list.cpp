// links: otagate_azure_parts
// The Blob service's XML through the adapter of pugixml. What comes out must keep the adapter's promises:
// usable names, bounded metadata, order, nothing after a stop, messages fit to show.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "azure/address.hpp"
#include "azure/answer.hpp"
#include "azure/list_xml.hpp"
#include "common/object_store/ranges.hpp"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

bool showable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  std::vector<std::string> names;
  std::string copy(text);
  const auto end = azure::parse_list(copy, [&](azure::ListedBlob blob) {
    require(azure::usable_name(blob.name) && blob.name.back() != '/');
    const auto token = common::parse_token(common::make_token(blob.etag, blob.size));
    require(token && token->etag == blob.etag && token->size == blob.size);
    require(blob.metadata.size() <= 64);
    for (const auto& [name, value] : blob.metadata) require(!name.empty() && value.size() <= 16 * 1024);
    names.push_back(std::move(blob.name));
    return true;
  });
  if (end) {
    std::size_t seen = 0;
    copy = text;
    require(azure::parse_list(copy, [&](const azure::ListedBlob& blob) {
              require(blob.name == names[seen]);
              return ++seen < names.size() / 2;
            }).has_value());
    require(seen <= std::max<std::size_t>(names.size() / 2, 1));
  } else {
    require(names.empty() && showable(end.error().message));
  }

  const azure::ErrorDocument error = azure::parse_error(text);
  require(error.code.size() <= 64 && error.message.size() <= 200);
  require(showable(error.code) && showable(error.message));
  if (const auto key = azure::parse_delegation_key(text)) require(!key->value.empty());

  common::HttpResponse response;
  response.head.status = size == 0 ? 403 : 300 + data[0];
  response.body = text;
  if (size % 2) response.head.headers = {{"x-ms-error-code", std::string(text)}, {"date", std::string(text)}};
  constexpr char kSas[] = "sv=1&sig=c2VjcmV0LXNpZ25hdHVyZQ%3D%3D";
  const auto failure = azure::failure_of(response, {.method = "GET",
                                                    .url = "https://h/k?sig=s",
                                                    .access = azure::Access::Kind::sas,
                                                    .of_container = size % 3 == 0,
                                                    .sas = kSas,
                                                    .signed_at = 0});
  require(failure.status != OTAGATE_OK && showable(failure.message) && failure.message.size() < 2000);
  azure::says_unauthenticated(response);
  return 0;
}

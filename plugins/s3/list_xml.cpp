#include "s3/list_xml.hpp"

#include <charconv>
#include <cstring>
#include <ctime>
#include <pugixml.hpp>

#include "common/http_client/url.hpp"
#include "otagate/storage.h"

namespace otagate::s3 {
namespace {

constexpr std::size_t kMaxKey = 1024;

// The name without a namespace prefix: some servers write s3:Contents.
std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view text_of(const pugi::xml_node& node) { return node.child_value(); }

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::uint64_t parse_size(std::string_view text) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? size
                                                                                   : OTAGATE_SIZE_UNKNOWN;
}

ListedObject read_object(const pugi::xml_node& contents, bool encoded) {
  ListedObject object;
  object.size = OTAGATE_SIZE_UNKNOWN;
  for (const pugi::xml_node& field : contents.children()) {
    const std::string_view name = local_name(field);
    if (name == "Key") {
      // Form encoding: AWS writes a space as '+'. A plus itself is %2B with every server.
      object.key = encoded ? common::percent_decode(text_of(field), common::Plus::space) : text_of(field);
    } else if (name == "ETag") {
      object.etag = unquoted(text_of(field));
    } else if (name == "Size") {
      object.size = parse_size(text_of(field));
    } else if (name == "LastModified") {
      object.modified_ms = parse_iso8601_ms(text_of(field));
    }
  }
  return object;
}

bool usable(const std::string& key) {
  return !key.empty() && key.size() <= kMaxKey && key.find('\0') == std::string::npos;
}

}  // namespace

std::int64_t parse_iso8601_ms(std::string_view text) {
  if (text.size() < 19 || text.size() > 40) return 0;
  const std::string copy(text);
  std::tm parts = {};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!end) return 0;
  std::int64_t millis = 0;
  if (*end == '.') {
    std::int64_t scale = 100;
    for (++end; *end >= '0' && *end <= '9'; ++end, scale /= 10) millis += (*end - '0') * scale;
  }
  if (std::strcmp(end, "Z") != 0) return 0;
  return std::int64_t{timegm(&parts)} * 1000 + millis;
}

common::Outcome<PageEnd> parse_list(std::string& xml, const std::function<bool(ListedObject)>& object) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer_inplace(
      xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
  if (!parsed) {
    return common::fail(OTAGATE_PERMANENT, std::string("the answer to a list request is no XML: ") +
                                               parsed.description() +
                                               "; does 'endpoint' lead to an S3 server?");
  }
  const pugi::xml_node root = document.document_element();
  if (local_name(root) != "ListBucketResult") {
    return common::fail(OTAGATE_PERMANENT,
                        "the answer to a list request is '" + common::printable(local_name(root), 60) +
                            "' instead of ListBucketResult; does 'endpoint' lead to an S3 server?");
  }
  bool encoded = false;
  PageEnd page;
  for (const pugi::xml_node& child : root.children()) {
    const std::string_view name = local_name(child);
    if (name == "EncodingType") encoded = text_of(child) == "url";
    if (name == "IsTruncated") page.truncated = text_of(child) == "true";
    if (name == "NextContinuationToken") page.next_token = text_of(child);
  }
  for (const pugi::xml_node& child : root.children()) {
    if (local_name(child) != "Contents") continue;
    ListedObject found = read_object(child, encoded);
    if (!usable(found.key)) {
      ++page.unusable;
      continue;
    }
    page.last_key = found.key;
    if (found.key.back() == '/') continue;
    if (!object(std::move(found))) break;
  }
  return page;
}

ErrorDocument parse_error(std::string_view xml) {
  ErrorDocument error;
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) return error;
  const pugi::xml_node root = document.document_element();
  if (local_name(root) != "Error") return error;
  for (const pugi::xml_node& field : root.children()) {
    const std::string_view name = local_name(field);
    if (name == "Code") error.code = common::printable(text_of(field), 64);
    if (name == "Message") error.message = common::printable(text_of(field), 200);
    if (name == "Region") error.region = common::printable(text_of(field), 64);
    if (name == "Endpoint") error.endpoint = common::printable(text_of(field), 200);
  }
  return error;
}

}  // namespace otagate::s3

#include "s3/list_xml.hpp"

#include <pugixml.hpp>

#include "common/http_client/url.hpp"
#include "common/object_store/list_document.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/store_calls.hpp"
#include "otagate/storage.h"

namespace otagate::s3 {
namespace {

using common::local_name;
using common::text_of;

// Form encoding: AWS writes a space as '+'. A plus itself is %2B with every server.
std::string decoded(std::string_view text, bool encoded) {
  return encoded ? common::percent_decode(text, common::Plus::space) : std::string(text);
}

ListedObject read_object(const pugi::xml_node& contents, bool encoded) {
  ListedObject object;
  object.size = OTAGATE_SIZE_UNKNOWN;
  bool latest = true;
  for (const pugi::xml_node& field : contents.children()) {
    const std::string_view name = local_name(field);
    if (name == "Key") {
      object.key = decoded(text_of(field), encoded);
    } else if (name == "ETag") {
      object.etag = common::unquoted(text_of(field));
    } else if (name == "Size") {
      object.size = common::parse_decimal(text_of(field)).value_or(OTAGATE_SIZE_UNKNOWN);
    } else if (name == "LastModified") {
      object.modified_ms = common::parse_iso8601_ms(text_of(field));
    } else if (name == "VersionId") {
      object.version = text_of(field);
    } else if (name == "IsLatest") {
      latest = text_of(field) == "true";
    }
  }
  if (latest) object.version.clear();
  return object;
}

}  // namespace

common::Outcome<PageEnd> parse_list(std::string& xml, bool versions,
                                    const std::function<bool(ListedObject)>& object) {
  pugi::xml_document document;
  const common::Outcome<pugi::xml_node> loaded =
      common::load_list(document, xml, versions ? "ListVersionsResult" : "ListBucketResult", "an S3 server");
  if (!loaded) return common::fail(loaded.error());
  const pugi::xml_node& root = *loaded;
  bool encoded = false;
  PageEnd page;
  for (const pugi::xml_node& child : root.children()) {
    const std::string_view name = local_name(child);
    if (name == "EncodingType") encoded = text_of(child) == "url";
    if (name == "IsTruncated") page.truncated = text_of(child) == "true";
    if (name == "NextContinuationToken") page.next_token = text_of(child);
    if (name == "NextVersionIdMarker") page.next_version = text_of(child);
  }
  for (const pugi::xml_node& child : root.children()) {
    if (local_name(child) == "NextKeyMarker") page.next_key = decoded(text_of(child), encoded);
  }
  for (const pugi::xml_node& child : root.children()) {
    if (local_name(child) != (versions ? "Version" : "Contents")) continue;
    ListedObject found = read_object(child, encoded);
    if (!common::usable_key(found.key)) {
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

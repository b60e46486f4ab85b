#include "azure/list_xml.hpp"

#include <algorithm>
#include <pugixml.hpp>

#include "azure/address.hpp"
#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/digests.hpp"
#include "common/object_store/list_document.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/text.hpp"
#include "otagate/storage.h"

namespace otagate::azure {
namespace {

using common::text_of;

// Azure takes 8 KiB of metadata and 10 tags of a blob; a server that says more is not followed.
constexpr std::size_t kMaxMetadata = 64;
constexpr std::size_t kMaxMetadataBytes = 16 * 1024;

bool is_true(const pugi::xml_node& node) { return text_of(node) == "true"; }

class Metadata {
 public:
  explicit Metadata(ListedBlob& blob) : blob_(blob) {}

  void add(std::string_view name, std::string_view value) {
    bytes_ += name.size() + value.size();
    const bool fits = blob_.metadata.size() < kMaxMetadata && bytes_ <= kMaxMetadataBytes;
    std::string key = common::lower_case(name);
    const bool known = std::any_of(blob_.metadata.begin(), blob_.metadata.end(),
                                   [&](const auto& pair) { return pair.first == key; });
    if (fits && !known && !key.empty()) blob_.metadata.emplace_back(std::move(key), value);
  }

 private:
  ListedBlob& blob_;
  std::size_t bytes_ = 0;
};

void read_properties(const pugi::xml_node& properties, ListedBlob& blob, bool& folder) {
  for (const pugi::xml_node& field : properties.children()) {
    const std::string_view name = field.name();
    if (name == "Content-Length") {
      blob.size = common::parse_decimal(text_of(field)).value_or(OTAGATE_SIZE_UNKNOWN);
    } else if (name == "Etag") {
      blob.etag = common::unquoted(text_of(field));
    } else if (name == "Last-Modified") {
      blob.modified_ms = common::parse_http_date(text_of(field)).value_or(0) * 1000;
    } else if (name == "ResourceType") {
      folder = folder || text_of(field) == "directory";
    }
  }
}

void read_tags(const pugi::xml_node& tags, Metadata& metadata) {
  for (const pugi::xml_node& tag : tags.child("TagSet").children("Tag")) {
    metadata.add(text_of(tag.child("Key")), text_of(tag.child("Value")));
  }
}

// nullopt for what is no blob of its own.
std::optional<ListedBlob> read_blob(const pugi::xml_node& node) {
  ListedBlob blob;
  blob.size = OTAGATE_SIZE_UNKNOWN;
  bool folder = false;
  const pugi::xml_node name = node.child("Name");
  blob.name = name.attribute("Encoded").as_bool() ? common::percent_decode(text_of(name)) : text_of(name);
  read_properties(node.child("Properties"), blob, folder);
  const bool old_version =
      !text_of(node.child("VersionId")).empty() && !is_true(node.child("IsCurrentVersion"));
  if (old_version || is_true(node.child("Deleted")) || !text_of(node.child("Snapshot")).empty())
    return std::nullopt;
  Metadata metadata(blob);
  for (const pugi::xml_node& field : node.child("Metadata").children()) {
    if (common::lower_case(field.name()) == "hdi_isfolder")
      folder = folder || common::lower_case(text_of(field)) == "true";
    // What no XML name can be is listed under this one.
    if (std::string_view(field.name()) != "x-ms-invalid-name") metadata.add(field.name(), text_of(field));
  }
  read_tags(node.child("Tags"), metadata);
  // An uncommitted blob has neither size nor tag, and cannot be read.
  if (folder || (blob.etag.empty() && blob.size == 0)) return std::nullopt;
  return blob;
}

}  // namespace

common::Outcome<PageEnd> parse_list(std::string& xml, const std::function<bool(ListedBlob)>& blob) {
  pugi::xml_document document;
  const common::Outcome<pugi::xml_node> loaded =
      common::load_list(document, xml, "EnumerationResults", "a Blob service");
  if (!loaded) return common::fail(loaded.error());
  const pugi::xml_node& root = *loaded;
  PageEnd page;
  page.next_marker = text_of(root.child("NextMarker"));
  for (const pugi::xml_node& child : root.child("Blobs").children("Blob")) {
    std::optional<ListedBlob> found = read_blob(child);
    if (!found) continue;
    if (!usable_name(found->name)) {
      ++page.unusable;
      continue;
    }
    if (found->name.back() == '/') continue;
    if (!blob(std::move(*found))) break;
  }
  return page;
}

ErrorDocument parse_error(std::string_view xml) {
  ErrorDocument error;
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) return error;
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Error") return error;
  error.code = common::printable(text_of(root.child("Code")), 64);
  // The next lines are ids and times of the request.
  const std::string_view message = text_of(root.child("Message"));
  error.message = common::printable(message.substr(0, message.find_first_of("\r\n")), 200);
  error.out_of_time =
      text_of(root.child("AuthenticationErrorDetail")).find("not valid in the specified time frame") !=
      std::string_view::npos;
  return error;
}

std::optional<DelegationKey> parse_delegation_key(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8))
    return std::nullopt;
  const pugi::xml_node root = document.child("UserDelegationKey");
  const auto part = [&](const char* name) { return std::string(text_of(root.child(name))); };
  DelegationKey key{part("SignedOid"),
                    part("SignedTid"),
                    part("SignedStart"),
                    part("SignedExpiry"),
                    part("SignedService"),
                    part("SignedVersion"),
                    {}};
  std::optional<std::string> value = common::from_base64(part("Value"));
  if (!value || value->empty() || key.object_id.empty() || key.tenant_id.empty() || key.expiry.empty())
    return std::nullopt;
  key.value = std::move(*value);
  return key;
}

}  // namespace otagate::azure

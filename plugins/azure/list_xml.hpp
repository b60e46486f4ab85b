// The Blob service's XML through pugixml: pages of List Blobs, error documents, delegation keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "azure/sas.hpp"
#include "common/http_client/failure.hpp"

namespace otagate::azure {

struct ListedBlob {
  std::string name;
  std::string etag;              // without quotes
  std::uint64_t size = 0;        // OTAGATE_SIZE_UNKNOWN when the page does not say
  std::int64_t modified_ms = 0;  // 0: not said
  // Names in lower case; then the index tags whose names the metadata does not have.
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct PageEnd {
  std::string next_marker;   // empty: that was the last page
  std::size_t unusable = 0;  // names that cannot be asked for: usable_name()
};

// One page. `xml` is parsed in place and destroyed. `blob` gets each blob in order and says false to stop.
// Left out are snapshots, versions that are not the current one, what is soft-deleted or not committed,
// and folders: of the hierarchical namespace, and the placeholders (hdi_isfolder) that stand for them
// elsewhere. What is no EnumerationResults is OTAGATE_PERMANENT.
common::Outcome<PageEnd> parse_list(std::string& xml, const std::function<bool(ListedBlob)>& blob);

struct ErrorDocument {
  std::string code;     // "BlobNotFound"; empty when it was no error document
  std::string message;  // its first line
  // The signature is one of a time that has passed or not come yet.
  bool out_of_time = false;
};

// Never fails: what is not there stays empty. Texts are cut and free of control characters. The details
// of a refused signature are not passed on: they hold it.
ErrorDocument parse_error(std::string_view xml);

// The answer of "Get User Delegation Key"; nullopt when a part is missing.
std::optional<DelegationKey> parse_delegation_key(std::string_view xml);

}  // namespace otagate::azure

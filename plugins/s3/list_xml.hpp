// S3's XML through pugixml: pages of ListObjectsV2 and error documents.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::s3 {

struct ListedObject {
  std::string key;
  std::string version;           // of a list of versions; empty for the latest
  std::string etag;              // without quotes
  std::uint64_t size = 0;        // OTAGATE_SIZE_UNKNOWN when the page does not say
  std::int64_t modified_ms = 0;  // 0: not said
};

struct PageEnd {
  bool truncated = false;
  std::string next_token;  // may be empty although truncated: then go on after last_key
  std::string next_key;    // of a list of versions, with next_version: where it goes on
  std::string next_version;
  std::string last_key;      // of the page, whether it was wanted or not
  std::size_t unusable = 0;  // keys that are too long, hold a NUL or are not there
};

// One page of ListObjectsV2 or of ListObjectVersions, 1,000 objects on AWS. `xml` is parsed in place and
// destroyed. `object` gets each object in order and says false to stop. Folder markers (keys that end in '/')
// and delete markers are left out. What is no such page is OTAGATE_PERMANENT.
common::Outcome<PageEnd> parse_list(std::string& xml, bool versions,
                                    const std::function<bool(ListedObject)>& object);

struct ErrorDocument {
  std::string code;  // "NoSuchKey"; empty when it was no error document
  std::string message;
  std::string region;    // where the bucket is, in answers about that
  std::string endpoint;  // likewise
};

// Never fails: what is not there stays empty. Texts are cut and free of control characters.
ErrorDocument parse_error(std::string_view xml);

}  // namespace otagate::s3

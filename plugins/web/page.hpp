// What a server lists: a page of a JSON index, or a folder as nginx writes it (autoindex_format json).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_client/failure.hpp"
#include "otagate/storage.h"

namespace otagate::web {

inline constexpr std::size_t kMaxPageBytes = 16u << 20;
inline constexpr std::size_t kMaxEntries = 100'000;  // of all pages and folders together
inline constexpr std::size_t kMaxText = 256;         // of a name, version, type and the like
inline constexpr std::size_t kMaxReference = 2048;   // of a URL

enum class Format { automatic, index, folder };

// In an index all members are the entry's own; in a folder there are `target`, `directory`, `size` and
// `modified` only.
struct Entry {
  std::string target{};  // an index: a URL, absolute or relative; a folder: the name as it is, any bytes
  bool directory = false;
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::int64_t modified = 0;  // seconds since 1970, 0: not said
  std::string name{};
  std::string version{};
  std::string type{};
  std::string sha256{};  // 64 digits in lower case, or nothing
  std::string kind{};
  std::string dependency{};
};

struct Page {
  Format format = Format::index;       // never automatic
  std::vector<Entry> entries{};        // usable ones, in the order of the document
  std::string next{};                  // an index: the URL of the next page
  std::size_t skipped = 0;             // entries that cannot be used
  std::vector<std::string> reasons{};  // of the first few of them, fit to show
};

// With Format::automatic a page in which an entry has a "url" or "version" is an index. A text that is no
// such document, or has more than `max_entries`, is OTAGATE_PERMANENT; an entry that is unusable is counted.
common::Outcome<Page> parse_page(std::string_view json, Format wanted, std::size_t max_entries = kMaxEntries);

}  // namespace otagate::web

// Where a listing goes on: the cursor of a page. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace otagate::oci {

struct ListPosition {
  std::size_t source = 0;  // index of the option `repositories`
  std::string page{};      // of its tags: "" for the first, else the path and query that the server named
  std::string after{};     // the last tag of that page that was listed, or of which a part was
  std::size_t skip = 0;    // objects of that tag that were listed; 0: all
  std::string next{};      // the page after this one; not part of the cursor

  bool operator==(const ListPosition&) const = default;
};

std::string to_string(const ListPosition& position);
// The beginning for an empty text; nullopt for one that to_string() did not make.
std::optional<ListPosition> parse_position(std::string_view text);

}  // namespace otagate::oci

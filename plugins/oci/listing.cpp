#include "oci/listing.hpp"

#include "common/object_store/ranges.hpp"

namespace otagate::oci {

std::string to_string(const ListPosition& position) {
  return std::to_string(position.source) + "\n" + position.page + "\n" + position.after + "\n" +
         std::to_string(position.skip);
}

std::optional<ListPosition> parse_position(std::string_view text) {
  ListPosition out;
  if (text.empty()) return out;
  std::string_view lines[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t end = text.find('\n');
    if ((end == std::string_view::npos) != (i == 3)) return std::nullopt;
    lines[i] = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  const auto source = common::parse_decimal(lines[0]);
  const auto skip = common::parse_decimal(lines[3]);
  if (!source || !skip) return std::nullopt;
  out.source = static_cast<std::size_t>(*source);
  out.page = lines[1];
  out.after = lines[2];
  out.skip = static_cast<std::size_t>(*skip);
  return out;
}

}  // namespace otagate::oci

#include "common/object_store/list_document.hpp"

#include "common/http_client/url.hpp"

namespace otagate::common {

std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view text_of(const pugi::xml_node& node) { return node.child_value(); }

Outcome<pugi::xml_node> load_list(pugi::xml_document& document, std::string& xml, std::string_view root,
                                  std::string_view server) {
  const auto other = [&](const std::string& what) {
    return fail(OTAGATE_PERMANENT, "the answer to a list request is " + what + "; does 'endpoint' lead to " +
                                       std::string(server) + "?");
  };
  const pugi::xml_parse_result parsed = document.load_buffer_inplace(
      xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
  if (!parsed) return other(std::string("no XML: ") + parsed.description());
  const pugi::xml_node found = document.document_element();
  if (local_name(found) == root) return found;
  return other("'" + printable(local_name(found), 60) + "' instead of " + std::string(root));
}

}  // namespace otagate::common

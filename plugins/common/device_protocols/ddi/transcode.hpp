// DDI's messages in CBOR, as hawkBit takes and gives them too: the same trees, so they pass through JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace otagate::plugins::devices::ddi {

// Nothing: `wrong` says why. Byte strings and keys that are no text have no like in JSON.
std::optional<std::string> json_of_cbor(std::string_view bytes, std::string& wrong);
// Of a document of ours.
std::string cbor_of_json(std::string_view document);

}  // namespace otagate::plugins::devices::ddi

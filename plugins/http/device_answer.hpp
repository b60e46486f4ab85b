// What a device protocol answered, as header fields. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/device_protocols/protocol.hpp"

namespace otagate::http {

// "application/cbor" of " Application/CBOR; x=y".
std::string media_type(std::string_view content_type);

// The answer's header fields, each ended by CRLF: all but status line, framing and Connection, which are
// the connection's. Nothing when one of them cannot stand in a header, when it is one of the connection's,
// or when the status is none that ends a request.
std::optional<std::string> answer_fields(const plugins::devices::Response& response);

}  // namespace otagate::http

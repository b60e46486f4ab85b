// HTTP's words for what a device protocol says, in those of CoAP. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/device_protocols/protocol.hpp"

namespace otagate::coap {

// The code of an answer with that HTTP status: 200 -> 2.05 with a body, else what RFC 7252 (5.9.1) has for
// the method; 404 -> 4.04; a status that CoAP has no code for is its class's general one.
std::uint8_t code_of_status(int status, plugins::devices::Method method, bool has_body);

// Content-Format numbers (RFC 7252, 12.3) and media types. Empty and nothing for those not known here.
std::string_view media_type_of(std::uint32_t content_format);
std::optional<std::uint16_t> content_format_of(std::string_view content_type);

}  // namespace otagate::coap

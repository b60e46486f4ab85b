// One CoAP request in plain terms: what its options say, checked.
#pragma once

#include <coap3/coap.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "block.hpp"
#include "entity.hpp"
#include "path.hpp"

namespace otagate::coap {

// Drogue's options: "Basic <base64>" in a request, the name of a command in an answer.
inline constexpr std::uint16_t kAuthorizationOption = 4209;
inline constexpr std::uint16_t kCommandOption = 4210;

struct Request {
  std::uint16_t mid = 0;
  std::span<const std::uint8_t> token;
  std::size_t bytes = 0;  // of the datagram's payload, for the amplification limit
  std::optional<Block> block2;
  std::optional<Block> block1;
  std::optional<std::uint32_t> format;  // Content-Format
  std::span<const std::uint8_t> authorization;
  std::span<const std::uint8_t> payload;
  std::optional<std::uint32_t> observe;
  std::optional<std::uint32_t> accept;
  std::span<const std::uint8_t> echo;
  std::array<std::span<const std::uint8_t>, 4> etags;  // more are not looked at
  std::size_t etag_count = 0;
  const char* problem = nullptr;  // malformed: answered 4.00 with this text

  bool has_etag(const Etag& etag) const;
};

// Fills `path` with the segments and queries. Everything borrows from the PDU.
Request read_request(const coap_pdu_t* pdu, PathParser& path);

}  // namespace otagate::coap

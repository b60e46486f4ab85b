// One answer, measured before it is written: what it costs decides whether it may go out as it is.
#pragma once

#include <coap3/coap.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "block.hpp"
#include "echo.hpp"
#include "entity.hpp"

namespace otagate::coap {

struct Reply {
  std::uint8_t code = 0;
  std::optional<Etag> etag{};
  std::optional<std::uint16_t> format{};
  std::optional<std::uint32_t> max_age{};
  std::optional<Block> block2{};
  std::optional<Block> block1{};
  std::optional<std::uint64_t> size2{};
  std::optional<EchoTokens::Token> echo{};
  std::string_view command{};  // Drogue's option 4210
  std::span<const std::uint8_t> payload{};

  // Header, token, options and, for `payload_size` above 0, the payload marker. `observe`: libcoap will
  // put an Observe option of up to three bytes in.
  std::size_t overhead(std::size_t token_size, std::size_t payload_size, bool observe) const;
};

// Into a PDU that has its token, and in a notification its Observe and Block2 options already.
void write_reply(const Reply& reply, std::optional<std::uint64_t> total, coap_session_t* session,
                 coap_pdu_t* pdu);

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace otagate::coap

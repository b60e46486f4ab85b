#include "reply.hpp"

#include <array>
#include <limits>

#include "request.hpp"

namespace otagate::coap {
namespace {

void add_uint(coap_pdu_t* pdu, coap_option_num_t number, std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  const auto length = coap_encode_var_safe(bytes.data(), bytes.size(), value);
  coap_add_option(pdu, number, length, bytes.data());
}

// In a notification libcoap has put the Block2 option of the original request in. Only its own function
// replaces an option, and it wants to know how long the whole body is.
bool replace_block(const Block& block, std::uint64_t total, coap_session_t* session, coap_pdu_t* pdu) {
  coap_opt_iterator_t iterator;
  if (coap_check_option(pdu, COAP_OPTION_BLOCK2, &iterator) == nullptr) return false;
  coap_block_b_t option{};
  option.num = block.number;
  option.m = block.more ? 1U : 0U;
  option.szx = block.szx & 7U;
  option.aszx = block.szx & 7U;
  option.defined = 1;
  option.chunk_size = block_bytes(block.szx);
  coap_write_block_b_opt(session, &option, COAP_OPTION_BLOCK2, pdu, static_cast<std::size_t>(total));
  return true;
}

}  // namespace

std::size_t Reply::overhead(std::size_t token_size, std::size_t payload_size, bool observe) const {
  std::size_t bytes = 4 + token_size;
  unsigned previous = 0;
  const auto add = [&](unsigned number, std::size_t length) {
    bytes += option_bytes(previous, number, length);
    previous = number;
  };
  if (etag) add(COAP_OPTION_ETAG, etag->size());
  if (observe) add(COAP_OPTION_OBSERVE, 3);
  if (format) add(COAP_OPTION_CONTENT_FORMAT, uint_bytes(*format));
  if (max_age) add(COAP_OPTION_MAXAGE, uint_bytes(*max_age));
  if (block2) add(COAP_OPTION_BLOCK2, 3);  // the longest: a smaller size has a larger number
  if (block1) add(COAP_OPTION_BLOCK1, 3);
  if (size2) add(COAP_OPTION_SIZE2, uint_bytes(*size2));
  if (echo) add(COAP_OPTION_ECHO, echo->size());
  if (!command.empty()) add(kCommandOption, command.size());
  return bytes + (payload_size > 0 ? 1 : 0);
}

void write_reply(const Reply& reply, std::optional<std::uint64_t> total, coap_session_t* session,
                 coap_pdu_t* pdu) {
  coap_pdu_set_code(pdu, static_cast<coap_pdu_code_t>(reply.code));
  if (reply.etag) coap_add_option(pdu, COAP_OPTION_ETAG, reply.etag->size(), reply.etag->data());
  if (reply.format) add_uint(pdu, COAP_OPTION_CONTENT_FORMAT, *reply.format);
  if (reply.max_age) add_uint(pdu, COAP_OPTION_MAXAGE, *reply.max_age);
  if (reply.block2 && !replace_block(*reply.block2, total.value_or(0), session, pdu)) {
    std::array<std::uint8_t, 3> bytes{};
    const auto length = encode_block(*reply.block2, bytes);
    coap_add_option(pdu, COAP_OPTION_BLOCK2, length, bytes.data());
  }
  if (reply.block1) {
    std::array<std::uint8_t, 3> bytes{};
    const auto length = encode_block(*reply.block1, bytes);
    coap_add_option(pdu, COAP_OPTION_BLOCK1, length, bytes.data());
  }
  // Size2 has four bytes at most.
  if (reply.size2 && *reply.size2 <= std::numeric_limits<std::uint32_t>::max()) {
    add_uint(pdu, COAP_OPTION_SIZE2, static_cast<std::uint32_t>(*reply.size2));
  }
  if (reply.echo) coap_add_option(pdu, COAP_OPTION_ECHO, reply.echo->size(), reply.echo->data());
  if (!reply.command.empty()) {
    coap_add_option(pdu, kCommandOption, reply.command.size(),
                    reinterpret_cast<const std::uint8_t*>(reply.command.data()));
  }
  if (!reply.payload.empty()) coap_add_data(pdu, reply.payload.size(), reply.payload.data());
}

}  // namespace otagate::coap

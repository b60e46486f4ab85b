#include "request.hpp"

#include <algorithm>
#include <string_view>

namespace otagate::coap {
namespace {

std::uint32_t uint_of(std::span<const std::uint8_t> value) {
  std::uint32_t number = 0;
  for (const auto byte : value) number = number << 8 | byte;
  return number;
}

std::string_view text_of(std::span<const std::uint8_t> value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

}  // namespace

bool Request::has_etag(const Etag& etag) const {
  return std::any_of(etags.begin(), etags.begin() + static_cast<std::ptrdiff_t>(etag_count),
                     [&](std::span<const std::uint8_t> value) { return std::ranges::equal(value, etag); });
}

Request read_request(const coap_pdu_t* pdu, PathParser& path) {
  Request request;
  path.clear();
  request.mid = static_cast<std::uint16_t>(coap_pdu_get_mid(pdu));
  const auto token = coap_pdu_get_token(pdu);
  request.token = {token.s, token.length};
  request.bytes = 4 + token.length;

  coap_opt_iterator_t iterator;
  coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
  while (const auto* option = coap_option_next(&iterator)) {
    request.bytes += coap_opt_size(option);
    const std::span<const std::uint8_t> value(coap_opt_value(option), coap_opt_length(option));
    switch (iterator.number) {
      case COAP_OPTION_URI_PATH:
        if (!path.add_segment(text_of(value))) request.problem = "the path is longer than any here";
        break;
      case COAP_OPTION_URI_QUERY:
        if (!path.add_query(text_of(value))) request.problem = "more queries than any resource here takes";
        break;
      case COAP_OPTION_BLOCK2:
        request.block2 = decode_block(value);
        if (!request.block2) request.problem = "Block2 uses the reserved size";
        break;
      case COAP_OPTION_BLOCK1:
        request.block1 = decode_block(value);
        if (!request.block1) request.problem = "Block1 uses the reserved size";
        break;
      case COAP_OPTION_CONTENT_FORMAT:
        if (value.size() <= 2) request.format = uint_of(value);
        break;
      case kAuthorizationOption: request.authorization = value; break;
      case COAP_OPTION_OBSERVE:
        if (value.size() <= 3) request.observe = uint_of(value);
        break;
      case COAP_OPTION_ACCEPT:
        if (value.size() <= 2) request.accept = uint_of(value);
        break;
      case COAP_OPTION_ETAG:
        if (request.etag_count < request.etags.size()) request.etags[request.etag_count++] = value;
        break;
      case COAP_OPTION_ECHO: request.echo = value; break;
      default: break;
    }
  }
  std::size_t length = 0;
  const std::uint8_t* data = nullptr;
  if (coap_get_data(pdu, &length, &data) != 0) {
    request.bytes += 1 + length;
    request.payload = {data, length};
  }
  return request;
}

}  // namespace otagate::coap

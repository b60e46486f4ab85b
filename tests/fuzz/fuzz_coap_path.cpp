// links: otagate_coap_core
// Uri-Path, Uri-Query, Block2 and listen addresses as a CoAP peer or an operator may write them. The
// input is a sequence of (length, bytes): a length with the high bit set is a query, else a segment.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "block.hpp"
#include "path.hpp"
#include "peer.hpp"

namespace {

using namespace otagate::coap;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_path(std::string_view in) {
  PathParser parser;
  bool fits = true;
  while (!in.empty()) {
    const auto head = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    const auto part = in.substr(0, std::min<std::size_t>(head & 0x7fU, in.size()));
    in.remove_prefix(part.size());
    fits = ((head & 0x80U) != 0 ? parser.add_query(part) : parser.add_segment(part)) && fits;
  }
  if (!fits) return;
  const auto target = parser.target();
  if (target.problem != nullptr) require(target.resource == Resource::kNone);
  const auto key = parser.key(target);
  require(!key.empty() && key.size() <= PathParser::kMaxKey);
  for (const auto text :
       {target.name, target.version, target.type, target.store, target.cursor, target.digest}) {
    if (target.resource == Resource::kNone) continue;
    require(is_utf8(text) && text.find('\0') == std::string_view::npos);
  }
  require(target.limit >= 1 || target.problem != nullptr);
  if (target.resource == Resource::kBlob) require(target.digest.size() == 64);
  if (target.resource == Resource::kFirmware) require(!target.name.empty() && !target.version.empty());
}

void check_block(const std::uint8_t* data, std::size_t size) {
  const auto block = decode_block({data, std::min<std::size_t>(size, 3)});
  if (!block) return;
  std::array<std::uint8_t, 3> bytes{};
  const auto length = encode_block(*block, bytes);
  require(decode_block({bytes.data(), length}) == block);
  std::uint64_t total = 0;
  for (std::size_t i = 3; i < std::min<std::size_t>(size, 11); ++i) total = total << 8 | data[i];
  for (unsigned szx = 0; szx <= kMaxSzx; ++szx) {
    const auto slice = cut(*block, szx, total);
    if (!slice) continue;
    require(slice->length <= block_bytes(slice->reply.szx) && slice->reply.szx <= szx);
    require(slice->offset + slice->length <= total);
    require(slice->reply.more == (slice->offset + slice->length < total));
    require(static_cast<std::uint64_t>(slice->reply.number) << (slice->reply.szx + 4) == slice->offset);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_path(text);
  check_block(data, size);
  if (size < 128) {
    if (const auto listen = parse_listen(text)) require(listen->text == text);
    NetworkSet networks;
    networks.add(text);
  }
  return 0;
}

#include "coap.hpp"

#include <algorithm>

namespace otagate::sim::coap {
namespace {

constexpr unsigned char kPayloadMarker = 0xFF;
constexpr unsigned kVersion = 1;

// The 4 bits of a delta or a length, and what follows them.
struct Nibble {
  unsigned bits = 0;
  std::string more;
};

Nibble nibble(std::size_t value) {
  if (value < 13) return {static_cast<unsigned>(value), {}};
  if (value < 269) return {13, std::string(1, static_cast<char>(value - 13))};
  const auto rest = value - 269;
  return {14, {static_cast<char>(rest >> 8U & 0xFFU), static_cast<char>(rest & 0xFFU)}};
}

class Cursor {
 public:
  explicit Cursor(std::string_view data) : data_(data) {}
  bool empty() const { return data_.empty(); }
  std::string_view rest() const { return data_; }
  std::optional<std::string_view> cut(std::size_t length) {
    if (length > data_.size()) return std::nullopt;
    const auto part = data_.substr(0, length);
    data_.remove_prefix(length);
    return part;
  }
  std::optional<std::size_t> byte() {
    const auto part = cut(1);
    if (!part) return std::nullopt;
    return static_cast<unsigned char>(part->front());
  }
  std::optional<std::size_t> extended(std::size_t bits) {
    if (bits < 13) return bits;
    if (bits == 15) return std::nullopt;
    const auto first = byte();
    if (!first || bits == 13) return first ? std::optional(*first + 13) : std::nullopt;
    const auto second = byte();
    return second ? std::optional((*first << 8U | *second) + 269) : std::nullopt;
  }

 private:
  std::string_view data_;
};

}  // namespace

void Message::add_number(std::uint16_t number, std::uint64_t value) {
  std::string bytes;
  for (; value > 0; value >>= 8U) bytes.insert(bytes.begin(), static_cast<char>(value & 0xFFU));
  add(number, std::move(bytes));
}

const std::string* Message::find(std::uint16_t number) const {
  const auto found = std::ranges::find(options, number, &std::pair<std::uint16_t, std::string>::first);
  return found == options.end() ? nullptr : &found->second;
}

std::optional<std::uint64_t> Message::find_number(std::uint16_t number) const {
  const auto* bytes = find(number);
  if (bytes == nullptr || bytes->size() > 8) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : *bytes) value = value << 8U | static_cast<unsigned char>(c);
  return value;
}

std::string encode(const Message& message) {
  std::string out;
  out += static_cast<char>(kVersion << 6U | static_cast<unsigned>(message.type) << 4U | message.token.size());
  out += static_cast<char>(message.code);
  out += static_cast<char>(message.id >> 8U);
  out += static_cast<char>(message.id & 0xFFU);
  out += message.token;
  auto options = message.options;
  std::ranges::stable_sort(options, {}, &std::pair<std::uint16_t, std::string>::first);
  std::uint16_t last = 0;
  for (const auto& [number, value] : options) {
    const auto delta = nibble(static_cast<std::size_t>(number - last));
    const auto length = nibble(value.size());
    out += static_cast<char>(delta.bits << 4U | length.bits);
    out += delta.more + length.more + value;
    last = number;
  }
  if (!message.payload.empty()) {
    out += static_cast<char>(kPayloadMarker);
    out += message.payload;
  }
  return out;
}

std::optional<Message> decode(std::string_view datagram) {
  Cursor in(datagram);
  const auto head = in.cut(4);
  if (!head) return std::nullopt;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>((*head)[i]); };
  const auto token = in.cut(at(0) & 15U);
  if (at(0) >> 6U != kVersion || (at(0) & 15U) > 8 || !token) return std::nullopt;
  Message message;
  message.type = static_cast<Type>(at(0) >> 4U & 3U);
  message.code = at(1);
  message.id = static_cast<std::uint16_t>(at(2) << 8U | at(3));
  message.token = *token;
  std::size_t number = 0;
  while (!in.empty()) {
    const auto bits = *in.byte();
    if (bits == kPayloadMarker) {
      if (in.empty()) return std::nullopt;
      message.payload = in.rest();
      break;
    }
    const auto delta = in.extended(bits >> 4U);
    const auto length = delta ? in.extended(bits & 15U) : std::nullopt;
    const auto value = length ? in.cut(*length) : std::nullopt;
    if (!value) return std::nullopt;
    number += *delta;
    if (number > 0xFFFF) return std::nullopt;
    message.add(static_cast<std::uint16_t>(number), std::string(*value));
  }
  return message;
}

std::uint64_t to_number(const Block& block) {
  return std::uint64_t{block.number} << 4U | (block.more ? 8U : 0U) | block.szx;
}

std::optional<Block> to_block(std::uint64_t value) {
  if (value > 0xFFFFFF || (value & 7U) == 7) return std::nullopt;
  return Block{static_cast<std::uint32_t>(value >> 4U), (value & 8U) != 0, static_cast<unsigned>(value & 7U)};
}

}  // namespace otagate::sim::coap

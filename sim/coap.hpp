// CoAP messages (RFC 7252 section 3) and the Block option (RFC 7959 section 2.2), for a client.
//
// Written out here and not taken from libcoap because a simulated device has to lose, repeat and delay its
// own datagrams, one socket each, thousands in one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otagate::sim::coap {

enum class Type : std::uint8_t { con = 0, non = 1, ack = 2, rst = 3 };

namespace option {
inline constexpr std::uint16_t kUriPath = 11;
inline constexpr std::uint16_t kContentFormat = 12;
inline constexpr std::uint16_t kMaxAge = 14;
inline constexpr std::uint16_t kUriQuery = 15;
inline constexpr std::uint16_t kAccept = 17;
inline constexpr std::uint16_t kBlock2 = 23;
inline constexpr std::uint16_t kSize2 = 28;
inline constexpr std::uint16_t kEcho = 252;
// Drogue's own: the credential as HTTP's Authorization has it, and the name of the command.
inline constexpr std::uint16_t kDrogueAuthorization = 4209;
inline constexpr std::uint16_t kDrogueCommand = 4210;
}  // namespace option

inline constexpr std::uint16_t kJson = 50;
inline constexpr std::uint16_t kCbor = 60;

constexpr std::uint8_t code(unsigned group, unsigned detail) {
  return static_cast<std::uint8_t>(group << 5U | detail);
}

struct Message {
  Type type = Type::con;
  std::uint8_t code = 0;
  std::uint16_t id = 0;
  std::string token;
  std::vector<std::pair<std::uint16_t, std::string>> options;
  std::string payload;

  void add(std::uint16_t number, std::string value) { options.emplace_back(number, std::move(value)); }
  void add_number(std::uint16_t number, std::uint64_t value);
  const std::string* find(std::uint16_t number) const;
  std::optional<std::uint64_t> find_number(std::uint16_t number) const;
};

std::string encode(const Message& message);
std::optional<Message> decode(std::string_view datagram);

struct Block {
  std::uint32_t number = 0;
  bool more = false;
  unsigned szx = 6;  // 16 << szx bytes, at most 6
  std::uint32_t size() const { return 16U << szx; }
};
std::uint64_t to_number(const Block& block);
std::optional<Block> to_block(std::uint64_t value);

}  // namespace otagate::sim::coap

// The messages of the Drogue firmware protocol: a device's status, and what it is told to do.
//
// Three spellings of the same: CBOR with the members' names, CBOR with their numbers (or, in a status, as an
// array in that order), and JSON. Versions, data and checksums are byte strings; a version is at most 64
// bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "otagate/cpp/status.hpp"

namespace otagate::plugins::devices::drogue {

enum class Spelling : std::uint8_t { packed, named, json };

struct Update {
  std::string version;
  std::uint32_t offset = 0;  // the next byte that the device wants
  friend bool operator==(const Update&, const Update&) = default;
};

struct Status {
  std::string version;
  std::optional<std::uint32_t> mtu;
  std::optional<std::uint32_t> correlation_id;
  std::optional<Update> update;
  friend bool operator==(const Status&, const Status&) = default;
};

struct Read {
  Status status;
  Spelling spelling = Spelling::packed;  // the one to answer in
};

inline constexpr std::size_t kMaxStatus = 2048;  // bytes of a status
inline constexpr std::size_t kMaxVersion = 64;

// What kind of message it is shows in its first byte: '{' begins no status in CBOR. OTAGATE_INVALID with a
// sentence where it is none. Unknown members are passed over; a member twice is refused.
sdk::Outcome<Read> read_status(std::string_view body);
std::string write_status(const Status& status, Spelling spelling);

struct Command {
  enum class Kind : std::uint8_t { wait = 0, sync = 1, write = 2, swap = 3 };
  Kind kind = Kind::wait;
  std::optional<std::uint32_t> correlation_id;
  std::optional<std::uint32_t> poll;  // wait, sync: seconds; none: the device's own
  std::string version;                // all but wait
  std::uint32_t offset = 0;           // write
  std::string data;                   // write: the block; swap: the checksum, raw
};

// JSON has data in base64 and the checksum in hex.
std::string write_command(const Command& command, Spelling spelling);
std::string_view media_type(Spelling spelling);

}  // namespace otagate::plugins::devices::drogue

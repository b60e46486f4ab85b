// Drogue's Status and Command on the wire, as the crate embedded-update writes and reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols.hpp"

namespace otagate::sim {

struct DrogueStatus {
  std::string version;
  std::optional<std::uint32_t> mtu;
  std::optional<std::uint32_t> correlation_id;
  struct Update {
    std::string version;
    std::uint32_t offset = 0;
  };
  std::optional<Update> update;
};

// Absent members are written as null, as embedded-update does.
std::string encode(const DrogueStatus& status, DrogueFormat format);

struct DrogueCommand {
  enum class Kind : std::uint8_t { wait = 0, sync = 1, write = 2, swap = 3 };
  Kind kind = Kind::wait;
  std::string version;
  std::optional<std::uint64_t> correlation_id;
  std::optional<std::uint64_t> poll;  // seconds
  std::uint64_t offset = 0;
  std::string data;
  std::string checksum;
};
// Either spelling of CBOR, or JSON, in which data is base64 and the checksum hex.
std::optional<DrogueCommand> decode_command(std::string_view body, bool is_json);

}  // namespace otagate::sim

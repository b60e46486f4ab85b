// The map of a fill on disk: what it is of, and which chunks are there with which checksum.
//
// A header of 4 KiB, then 8 bytes per chunk, in the byte order of the machine (the file never leaves it).
// Two copies: `.map` is written after each chunk without a sync, and counts as long as the machine has not
// been rebooted (a killed process loses nothing that was written); `.sync` gets the same entries once the
// data they speak of has been synced, is synced itself, and counts after a reboot. Neither is believed:
// an entry only says which checksum to expect, every chunk is read again before it is used. So a torn
// write costs a chunk and no more.
//
// A map is sealed with the blob's digest before its bytes are moved from `.part` to the blob, and goes once
// the journal knows the blob. A sealed map without `.part` so tells which object a blob is of that a process
// killed in between has left behind.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/layout.hpp"
#include "cache/types.hpp"

namespace otagate::cache {

struct MapEntry {
  std::uint32_t checksum = 0;  // CRC-32C of the chunk
  std::uint32_t mark = 0;      // kPresent, or nothing
  static constexpr std::uint32_t kPresent = 0x6f746731;
};
static_assert(sizeof(MapEntry) == 8);

struct MapHeader {
  FillKey key;
  std::uint64_t size = 0;
  std::string boot_id;
  std::optional<Digest> sealed = std::nullopt;
};

// Not thread-safe; the FillFile that owns it locks, but for sync().
class FillMap {
 public:
  static constexpr std::size_t kHeaderBytes = 4096;

  // What the maps of `id` say: the live one if it is of this boot, else the durable one, else nothing.
  // Nothing as well if either file is of another key or size.
  static std::vector<MapEntry> load(const Layout& layout, const MapHeader& header, std::size_t chunks);
  // The header found under `id`, from either file; for listings and for cleaning up.
  static Result<MapHeader> read_header(const Layout& layout, std::string_view id);
  // The digest that either file of `id` is sealed with: after a power cut only the durable one may be.
  static std::optional<Digest> sealed(const Layout& layout, std::string_view id);
  // Starts both files for this boot. `candidates`: what load() gave, kept until put() or erase() says more.
  static Result<FillMap> create(const Layout& layout, const MapHeader& header,
                                std::span<const MapEntry> candidates);
  // invalid when key and token are too long for the header.
  static Result<std::vector<std::byte>> encode(const MapHeader& header);
  static Result<MapHeader> decode(std::span<const std::byte> block);

  // Into the live map.
  Result<void> put(std::size_t chunk, std::uint32_t checksum);
  Result<void> erase(std::size_t chunk);
  // Into the live map, and if `durable` into the other one, which is synced.
  Result<void> seal(const Digest& digest, bool durable);
  // Gives the descriptors back; nothing may be put any more.
  void close();

  // Into the durable map. Any thread, one at a time, beside put().
  struct Numbered {
    std::size_t chunk;
    MapEntry entry;
  };
  Result<void> put_durable(std::span<const Numbered> entries) const;

 private:
  FillMap(MapHeader header, UniqueFd live, UniqueFd durable)
      : header_(std::move(header)), live_(std::move(live)), durable_(std::move(durable)) {}

  MapHeader header_;
  UniqueFd live_;
  UniqueFd durable_;
};

}  // namespace otagate::cache

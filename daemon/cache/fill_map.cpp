#include "cache/fill_map.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cache/checksum.hpp"

namespace otagate::cache {

namespace {

constexpr std::array<char, 8> kMagic = {'O', 'T', 'G', 'M', 'A', 'P', '0', '1'};

// Fixed part of the header; store, object, token and boot id follow, in this order, without terminators.
struct RawHeader {
  std::array<char, 8> magic;
  std::uint32_t checksum;  // of the whole block with this member zero
  std::uint32_t chunk_size;
  std::uint64_t size;
  std::uint32_t tail_size;
  std::uint32_t has_expected;
  std::array<std::byte, 32> expected;
  std::array<std::uint32_t, 4> lengths;
  std::uint64_t is_sealed;
  std::array<std::byte, 32> sealed;
};
static_assert(sizeof(RawHeader) == 120);

std::uint64_t entry_offset(std::size_t chunk) { return FillMap::kHeaderBytes + chunk * sizeof(MapEntry); }

Result<MapHeader> header_of(int fd) {
  std::array<std::byte, FillMap::kHeaderBytes> block{};
  const auto got = read_some(fd, block, 0);
  if (!got) return fail(got.error());
  if (*got < block.size()) return fail(Code::invalid, "the map of a fill is cut short");
  return FillMap::decode(block);
}

std::vector<MapEntry> entries_of(int fd, std::size_t chunks) {
  std::vector<MapEntry> entries(chunks);
  const auto got = read_some(fd, std::as_writable_bytes(std::span(entries)), FillMap::kHeaderBytes);
  if (!got) entries.clear();
  entries.resize(got ? *got / sizeof(MapEntry) : 0);  // what was not read is not there
  entries.resize(chunks);
  for (MapEntry& entry : entries)
    if (entry.mark != MapEntry::kPresent) entry = {};
  return entries;
}

bool same_object(const MapHeader& a, const MapHeader& b) { return a.key == b.key && a.size == b.size; }

}  // namespace

Result<std::vector<std::byte>> FillMap::encode(const MapHeader& header) {
  std::vector<std::byte> block(kHeaderBytes);
  RawHeader raw{};
  raw.magic = kMagic;
  raw.chunk_size = kChunkSize;
  raw.tail_size = kTailSize;
  raw.size = header.size;
  raw.has_expected = header.key.expected ? 1 : 0;
  if (header.key.expected) raw.expected = header.key.expected->bytes;
  raw.is_sealed = header.sealed ? 1 : 0;
  if (header.sealed) raw.sealed = header.sealed->bytes;
  std::size_t at = sizeof raw;
  std::size_t i = 0;
  for (const std::string* text :
       {&header.key.store, &header.key.object, &header.key.change_token, &header.boot_id}) {
    if (text->size() > block.size() - at)
      return fail(Code::invalid, "the names of object and version are longer than " +
                                     std::to_string(kHeaderBytes - sizeof raw) +
                                     " bytes together; shorten the key in the store");
    std::memcpy(block.data() + at, text->data(), text->size());
    raw.lengths[i++] = static_cast<std::uint32_t>(text->size());
    at += text->size();
  }
  std::memcpy(block.data(), &raw, sizeof raw);
  raw.checksum = crc32c(0, block);
  std::memcpy(block.data(), &raw, sizeof raw);
  return block;
}

Result<MapHeader> FillMap::decode(std::span<const std::byte> block) {
  if (block.size() != kHeaderBytes) return fail(Code::invalid, "the map of a fill is cut short");
  RawHeader raw;
  std::memcpy(&raw, block.data(), sizeof raw);
  std::vector<std::byte> copy(block.begin(), block.end());
  std::memset(copy.data() + offsetof(RawHeader, checksum), 0, sizeof raw.checksum);
  if (raw.magic != kMagic || raw.chunk_size != kChunkSize || raw.tail_size != kTailSize)
    return fail(Code::invalid, "not the map of a fill, or of another version of it");
  if (crc32c(0, copy) != raw.checksum)
    return fail(Code::invalid, "the header of a fill's map does not match its checksum");
  MapHeader header;
  header.size = raw.size;
  if (raw.has_expected != 0) header.key.expected = Digest{raw.expected};
  if (raw.is_sealed != 0) header.sealed = Digest{raw.sealed};
  std::size_t at = sizeof raw;
  std::size_t i = 0;
  for (std::string* text :
       {&header.key.store, &header.key.object, &header.key.change_token, &header.boot_id}) {
    const std::size_t length = raw.lengths[i++];
    if (length > block.size() - at) return fail(Code::invalid, "a length in a fill's map is out of range");
    text->assign(reinterpret_cast<const char*>(block.data()) + at, length);
    at += length;
  }
  return header;
}

std::vector<MapEntry> FillMap::load(const Layout& layout, const MapHeader& header, std::size_t chunks) {
  const std::string id = header.key.id();
  for (const bool live : {true, false}) {
    const auto fd = open_file(live ? layout.map(id) : layout.durable_map(id), O_RDONLY);
    if (!fd) continue;
    const auto found = header_of(fd->get());
    if (!found) continue;
    if (!same_object(*found, header)) return {};
    if (live && found->boot_id != header.boot_id) continue;
    return entries_of(fd->get(), chunks);
  }
  return {};
}

Result<MapHeader> FillMap::read_header(const Layout& layout, std::string_view id) {
  Result<MapHeader> found = fail(Code::not_found, "a fill without a map");
  for (const auto& path : {layout.map(id), layout.durable_map(id)}) {
    const auto fd = open_file(path, O_RDONLY);
    if (!fd) continue;
    found = header_of(fd->get());
    if (found) return found;
  }
  return found;
}

std::optional<Digest> FillMap::sealed(const Layout& layout, std::string_view id) {
  for (const auto& path : {layout.map(id), layout.durable_map(id)}) {
    const auto fd = open_file(path, O_RDONLY);
    if (!fd) continue;
    const auto header = header_of(fd->get());
    if (header && header->key.id() == id && header->sealed) return header->sealed;
  }
  return std::nullopt;
}

Result<FillMap> FillMap::create(const Layout& layout, const MapHeader& header,
                                std::span<const MapEntry> candidates) {
  const auto block = encode(header);
  if (!block) return fail(block.error());
  const std::string id = header.key.id();
  // Not truncated while they speak of chunks that may be used: they are all that a kill or a power cut in
  // the next moment would leave.
  const int flags = O_RDWR | O_CREAT | (candidates.empty() ? O_TRUNC : 0);
  const auto start = [&](const std::filesystem::path& path) -> Result<UniqueFd> {
    auto fd = open_file(path, flags);
    if (!fd) return fd;
    if (auto wrote = write_all(fd->get(), *block, 0); !wrote) return fail(wrote.error());
    if (auto wrote = write_all(fd->get(), std::as_bytes(candidates), kHeaderBytes); !wrote)
      return fail(wrote.error());
    return fd;
  };
  auto sync = start(layout.durable_map(id));
  if (!sync) return fail(sync.error());
  auto live = start(layout.map(id));
  if (!live) return fail(live.error());
  return FillMap(header, std::move(*live), std::move(*sync));
}

Result<void> FillMap::put(std::size_t chunk, std::uint32_t checksum) {
  const MapEntry entry{checksum, MapEntry::kPresent};
  return write_all(live_.get(), std::as_bytes(std::span(&entry, 1)), entry_offset(chunk));
}

Result<void> FillMap::erase(std::size_t chunk) {
  const MapEntry entry{};
  return write_all(live_.get(), std::as_bytes(std::span(&entry, 1)), entry_offset(chunk));
}

Result<void> FillMap::seal(const Digest& digest, bool durable) {
  header_.sealed = digest;
  const auto block = encode(header_);
  if (!block) return fail(block.error());
  if (durable) {
    if (auto wrote = write_all(durable_.get(), *block, 0); !wrote) return wrote;
    if (::fdatasync(durable_.get()) != 0) return fail(errno_error("syncing the map of a fill", errno));
  }
  return write_all(live_.get(), *block, 0);
}

void FillMap::close() {
  live_.reset();
  durable_.reset();
}

Result<void> FillMap::put_durable(std::span<const Numbered> entries) const {
  for (std::size_t i = 0; i < entries.size();) {
    std::vector<MapEntry> run;  // neighbours go out in one write
    const std::size_t first = entries[i].chunk;
    while (i < entries.size() && entries[i].chunk == first + run.size()) run.push_back(entries[i++].entry);
    if (auto wrote = write_all(durable_.get(), std::as_bytes(std::span(run)), entry_offset(first)); !wrote)
      return wrote;
  }
  if (::fdatasync(durable_.get()) != 0) return fail(errno_error("syncing the map of a fill", errno));
  return {};
}

}  // namespace otagate::cache

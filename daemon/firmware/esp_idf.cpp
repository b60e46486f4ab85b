#include "firmware/esp_idf.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "firmware/bytes.hpp"
#include "firmware/hash.hpp"

namespace otagate::firmware {

namespace {

constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kDescriptionAt = 32;  // the first segment's data
constexpr std::size_t kDescriptionBytes = 256;
constexpr std::uint32_t kDescriptionMagic = 0xABCD5432;
constexpr std::uint8_t kMaxSegments = 16;
constexpr std::uint8_t kChecksumSeed = 0xEF;

// esp_chip_id_t.
std::string chip(std::uint16_t id) {
  switch (id) {
    case 0x00: return "esp32";
    case 0x02: return "esp32s2";
    case 0x05: return "esp32c3";
    case 0x09: return "esp32s3";
    case 0x0C: return "esp32c2";
    case 0x0D: return "esp32c6";
    case 0x10: return "esp32h2";
    case 0x12: return "esp32p4";
    case 0x17: return "esp32c5";
    case 0x14: return "esp32c61";
    default: return {};
  }
}

struct Segment {
  std::uint64_t begin = 0, end = 0;  // of its data in the file
};

FormatCheck verdict(Verdict what, const std::string& reason, std::uint64_t covered) {
  FormatCheck out;
  out.verdict = what;
  out.format = Format::esp_idf;
  if (!reason.empty()) out.reason = "ESP-IDF image: " + reason;
  out.covered = covered;
  return out;
}

}  // namespace

std::optional<EspHeader> parse_esp(std::span<const std::byte> head) {
  if (head.size() < kHeaderBytes || head[0] != std::byte{0xE9}) return std::nullopt;
  EspHeader header;
  header.segments = little<std::uint8_t>(head, 1);
  const auto entry = little<std::uint32_t>(head, 4);
  const auto appended = little<std::uint8_t>(head, 23);
  header.hash_appended = appended == 1;
  header.type = chip(little<std::uint16_t>(head, 12));
  const bool described = head.size() >= kDescriptionAt + kDescriptionBytes &&
                         little<std::uint32_t>(head, kDescriptionAt) == kDescriptionMagic;
  // Code of all these chips lies between 0x40000000 and 0x4FFFFFFF.
  const bool plausible = header.segments >= 1 && header.segments <= kMaxSegments && appended <= 1 &&
                         little<std::uint8_t>(head, 2) <= 5 && entry >> 28 == 4;
  if (!plausible || (header.type.empty() && !described)) return std::nullopt;
  if (described) {
    header.version = fixed_text(head.subspan(kDescriptionAt + 16, 32));
    header.name = fixed_text(head.subspan(kDescriptionAt + 48, 32));
  }
  return header;
}

Result<FormatCheck> check_esp(const ReadAt& read, std::uint64_t size, const EspHeader& header) {
  const auto bad = [](const std::string& reason) { return verdict(Verdict::bad, reason, 0); };
  std::vector<Segment> segments;
  std::uint64_t at = kHeaderBytes;
  for (unsigned i = 0; i < header.segments; ++i) {
    if (size - at < 8) return bad("it ends within a segment header");
    std::array<std::byte, 8> bytes;
    if (Result<void> done = read(at, bytes); !done) return fail(std::move(done.error()));
    const auto length = little<std::uint32_t>(bytes, 4);
    at += 8;
    if (size - at < length) return bad("it ends within a segment");
    segments.push_back({at, at + length});
    at += length;
  }
  // The checksum is the last byte of the 16-byte block that holds the end of the last segment.
  const std::uint64_t checksum_at = at / 16 * 16 + 15;
  const std::uint64_t body = checksum_at + 1;
  const std::uint64_t wanted = body + (header.hash_appended ? hash_size(HashKind::sha256) : 0);
  if (size < wanted) return bad("it ends before its checksum");

  std::uint8_t checksum = kChecksumSeed, stated = 0;
  const auto each = [&](std::uint64_t offset, std::span<const std::byte> piece) {
    for (const Segment& segment : segments) {
      const std::uint64_t first = std::max(segment.begin, offset);
      const std::uint64_t last = std::min(segment.end, offset + piece.size());
      for (std::uint64_t i = first; i < last; ++i)
        checksum ^= std::to_integer<std::uint8_t>(piece[static_cast<std::size_t>(i - offset)]);
    }
    if (checksum_at >= offset && checksum_at < offset + piece.size())
      stated = std::to_integer<std::uint8_t>(piece[static_cast<std::size_t>(checksum_at - offset)]);
  };
  const Result<std::vector<std::byte>> digest = hash_prefix(read, body, HashKind::sha256, each);
  if (!digest) return fail(digest.error());
  if (checksum != stated) return bad("its checksum does not hold: the image is damaged");
  if (!header.hash_appended)
    return verdict(Verdict::opaque, "it has no SHA-256, only a checksum of one byte", 0);
  std::vector<std::byte> appended(hash_size(HashKind::sha256));
  if (Result<void> done = read(body, appended); !done) return fail(std::move(done.error()));
  if (*digest != appended) return bad("its SHA-256 does not hold: the image is damaged");
  FormatCheck out = verdict(Verdict::ok, "", body);
  out.image_hash = to_hex(*digest);
  return out;
}

}  // namespace otagate::firmware

#include "firmware/image.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "firmware/bytes.hpp"
#include "firmware/esp_idf.hpp"
#include "firmware/mcuboot.hpp"

namespace otagate::firmware {

namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// UF2: 512-byte blocks with three magic numbers.
bool is_uf2(std::span<const std::byte> head) {
  return head.size() >= 512 && little<std::uint32_t>(head, 0) == 0x0A324655 &&
         little<std::uint32_t>(head, 4) == 0x9E5D5157 && little<std::uint32_t>(head, 508) == 0x0AB16F30;
}

// Intel HEX: the first record is ":" LL AAAA TT data CC, and its bytes add up to zero.
bool is_intel_hex(std::string_view head) {
  const auto nibble = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (head.size() < 11 || head[0] != ':') return false;
  std::size_t bytes = 5;  // of the record: grows when its length is known
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    if (head.size() < 1 + 2 * (i + 1)) return false;
    const int high = nibble(head[1 + 2 * i]), low = nibble(head[2 + 2 * i]);
    if (high < 0 || low < 0) return false;
    const auto value = static_cast<unsigned>(high << 4 | low);
    if (i == 0) bytes += value;
    sum += value;
  }
  return (sum & 0xFF) == 0;
}

// A zip whose local file headers, as far as they are in sight, name what Nordic's nrfutil packs.
Format zip_kind(std::span<const std::byte> head) {
  constexpr std::size_t kLocalHeader = 30;
  if (head.size() < kLocalHeader || !text_of(head).starts_with("PK\x03\x04")) return Format::unknown;
  for (std::size_t at = 0; head.size() - at >= kLocalHeader;) {
    if (!text_of(head.subspan(at)).starts_with("PK\x03\x04")) break;
    const std::size_t name_length = little<std::uint16_t>(head, at + 26);
    const std::size_t extra_length = little<std::uint16_t>(head, at + 28);
    const std::size_t data_length = little<std::uint32_t>(head, at + 18);
    if (head.size() - at - kLocalHeader < name_length) break;
    const std::string_view name = text_of(head.subspan(at + kLocalHeader, name_length));
    if (name == "manifest.json" || name.ends_with(".dat")) return Format::nordic_dfu;
    const std::size_t step = kLocalHeader + name_length + extra_length + data_length;
    if (head.size() - at < step) break;
    at += step;
  }
  return Format::zip;
}

}  // namespace

std::string_view to_string(Format format) {
  switch (format) {
    case Format::unknown: return "";
    case Format::mcuboot: return "mcuboot";
    case Format::esp_idf: return "esp-idf";
    case Format::uf2: return "uf2";
    case Format::intel_hex: return "intel-hex";
    case Format::elf: return "elf";
    case Format::nordic_dfu: return "nordic-dfu";
    case Format::zip: return "zip";
  }
  return "";
}

ImageInfo probe(std::span<const std::byte> head) {
  head = head.first(std::min(head.size(), kProbeBytes));
  ImageInfo info;
  if (const std::optional<McubootHeader> mcuboot = parse_mcuboot(head)) {
    info.format = Format::mcuboot;
    info.version = mcuboot->version;
    info.encrypted = mcuboot->encrypted();
  } else if (std::optional<EspHeader> esp = parse_esp(head)) {
    info.format = Format::esp_idf;
    info.name = std::move(esp->name);
    info.version = std::move(esp->version);
    info.type = std::move(esp->type);
  } else if (is_uf2(head)) {
    info.format = Format::uf2;
  } else if (text_of(head).starts_with("\x7f"
                                       "ELF")) {
    info.format = Format::elf;
  } else if (is_intel_hex(text_of(head))) {
    info.format = Format::intel_hex;
  } else {
    info.format = zip_kind(head);
  }
  return info;
}

Result<FormatCheck> check_format(const ReadAt& read, std::uint64_t size) {
  std::array<std::byte, kProbeBytes> buffer;
  const std::span<std::byte> head =
      std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(size, buffer.size())));
  if (Result<void> done = read(0, head); !done) return fail(std::move(done.error()));
  if (const std::optional<McubootHeader> mcuboot = parse_mcuboot(head))
    return check_mcuboot(read, size, *mcuboot);
  if (const std::optional<EspHeader> esp = parse_esp(head)) return check_esp(read, size, *esp);
  FormatCheck out;
  out.format = probe(head).format;
  return out;
}

}  // namespace otagate::firmware

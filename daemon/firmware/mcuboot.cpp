#include "firmware/mcuboot.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/digest.hpp"
#include "firmware/bytes.hpp"
#include "firmware/hash.hpp"

namespace otagate::firmware {

namespace {

constexpr std::uint32_t kMagic = 0x96f3b83d;
constexpr std::uint32_t kMagicV1 = 0x96f3b83c;
constexpr std::size_t kHeaderBytes = 32;
constexpr std::uint16_t kTlvInfo = 0x6907;
constexpr std::uint16_t kProtectedTlvInfo = 0x6908;

constexpr std::uint16_t kSha256 = 0x10, kSha384 = 0x11, kSha512 = 0x12, kSigPure = 0x25;
constexpr std::uint16_t kDependency = 0x40, kSecurityCounter = 0x50, kBootRecord = 0x60;
constexpr std::uint16_t kUuidVendor = 0x74, kUuidClass = 0x75;

struct Tlv {
  std::uint16_t type = 0;
  bool is_protected = false;
  std::vector<std::byte> data;
};

// What the reader of the trailer has found wrong, as opposed to an error of reading it.
struct Malformed {
  std::string reason;
};

template <class T>
using Parsed = tl::expected<T, Malformed>;

// The two areas are at most 64 KiB each (their length is 16 bits wide), so they are read at once.
Parsed<void> split(std::span<const std::byte> area, bool is_protected, std::vector<Tlv>& out) {
  for (std::size_t at = 4; at < area.size();) {
    if (area.size() - at < 4) return tl::unexpected(Malformed{"a TLV is cut off"});
    const auto type = little<std::uint16_t>(area, at);
    const auto length = little<std::uint16_t>(area, at + 2);
    at += 4;
    if (area.size() - at < length) return tl::unexpected(Malformed{"a TLV reaches beyond its area"});
    const std::span<const std::byte> data = area.subspan(at, length);
    out.push_back({type, is_protected, {data.begin(), data.end()}});
    at += length;
  }
  return {};
}

// What decides about rollback and identity counts only under the hash (CVE-2024-32883), and once.
Parsed<void> check_places(const std::vector<Tlv>& tlvs) {
  static constexpr std::uint16_t kOnlyProtected[] = {kDependency, kSecurityCounter, kBootRecord, kUuidVendor,
                                                     kUuidClass};
  static constexpr std::uint16_t kOnce[] = {kSecurityCounter, kBootRecord, kUuidVendor, kUuidClass};
  const auto in = [](const auto& list, std::uint16_t type) {
    return std::find(std::begin(list), std::end(list), type) != std::end(list);
  };
  int hashes = 0;
  for (const Tlv& tlv : tlvs) {
    const std::string name = "the TLV " + std::to_string(tlv.type);
    if (in(kOnlyProtected, tlv.type) && !tlv.is_protected)
      return tl::unexpected(Malformed{name + " is outside the protected area"});
    const auto same = [&](const Tlv& other) { return other.type == tlv.type; };
    if (in(kOnce, tlv.type) && std::count_if(tlvs.begin(), tlvs.end(), same) > 1)
      return tl::unexpected(Malformed{name + " is there twice"});
    if (tlv.type == kSha256 || tlv.type == kSha384 || tlv.type == kSha512) ++hashes;
  }
  if (hashes > 1) return tl::unexpected(Malformed{"there is more than one hash"});
  return {};
}

class Checker {
 public:
  Checker(const ReadAt& read, std::uint64_t size, const McubootHeader& header)
      : read_(read), size_(size), header_(header) {
    out_.format = Format::mcuboot;
    out_.covered = header.covered();
  }

  Result<FormatCheck> run() {
    if (out_.covered > size_) return bad("the image is shorter than its header says");
    std::vector<Tlv> tlvs;
    const std::uint64_t body = out_.covered - header_.protected_size;
    if (header_.protected_size != 0)
      if (Result<bool> good = area(body, kProtectedTlvInfo, header_.protected_size, tlvs); !good || !*good)
        return verdict(good);
    if (Result<bool> good = area(out_.covered, kTlvInfo, 0, tlvs); !good || !*good) return verdict(good);
    if (const Parsed<void> places = check_places(tlvs); !places) return bad(places.error().reason);
    for (const Tlv& tlv : tlvs)
      if (tlv.type == kSecurityCounter) {
        if (tlv.data.size() != 4) return bad("the security counter is not 4 bytes long");
        out_.security_counter = little<std::uint32_t>(tlv.data, 0);
      }
    return hash(tlvs);
  }

 private:
  // Reads one TLV area at `at`. False: malformed, out_ says why. `wanted` is the length the header gave.
  Result<bool> area(std::uint64_t at, std::uint16_t magic, std::uint32_t wanted, std::vector<Tlv>& tlvs) {
    const bool is_protected = magic == kProtectedTlvInfo;
    const std::string name = is_protected ? "the protected TLV area" : "the TLV area";
    if (size_ - at < 4) return malformed(name + " is missing");
    std::vector<std::byte> info(4);
    if (Result<void> done = read_(at, info); !done) return fail(std::move(done.error()));
    const auto length = little<std::uint16_t>(info, 2);
    if (little<std::uint16_t>(info, 0) != magic) return malformed(name + " is missing");
    if (length < 4 || (wanted != 0 && length != wanted)) return malformed(name + " has a wrong length");
    if (size_ - at < length) return malformed(name + " is cut off");
    std::vector<std::byte> bytes(length);
    if (Result<void> done = read_(at, bytes); !done) return fail(std::move(done.error()));
    if (const Parsed<void> good = split(bytes, is_protected, tlvs); !good)
      return malformed(good.error().reason);
    return true;
  }

  Result<FormatCheck> hash(const std::vector<Tlv>& tlvs) {
    const auto hash = std::find_if(tlvs.begin(), tlvs.end(), [](const Tlv& tlv) {
      return tlv.type == kSha256 || tlv.type == kSha384 || tlv.type == kSha512;
    });
    if (hash == tlvs.end()) {
      const bool pure =
          std::any_of(tlvs.begin(), tlvs.end(), [](const Tlv& tlv) { return tlv.type == kSigPure; });
      return pure ? opaque("it is signed without a hash") : bad("it has no hash");
    }
    const HashKind kind = hash->type == kSha256   ? HashKind::sha256
                          : hash->type == kSha384 ? HashKind::sha384
                                                  : HashKind::sha512;
    if (hash->data.size() != hash_size(kind)) return bad("its hash has a wrong length");
    out_.image_hash = to_hex(hash->data);
    if (header_.encrypted()) return opaque("it is encrypted, and its hash is that of the plain image");
    const Result<std::vector<std::byte>> digest = hash_prefix(read_, out_.covered, kind);
    if (!digest) return fail(digest.error());
    if (*digest != hash->data) return bad("its hash does not hold: the image is damaged");
    out_.verdict = Verdict::ok;
    return out_;
  }

  Result<bool> malformed(std::string reason) {
    out_.verdict = Verdict::bad;
    out_.reason = "MCUboot image: " + std::move(reason);
    return false;
  }
  Result<FormatCheck> bad(std::string reason) {
    (void)malformed(std::move(reason));
    return out_;
  }
  Result<FormatCheck> opaque(std::string reason) {
    out_.verdict = Verdict::opaque;
    out_.reason = "MCUboot image: " + std::move(reason);
    return out_;
  }
  Result<FormatCheck> verdict(const Result<bool>& good) {
    if (!good) return fail(good.error());
    return out_;
  }

  const ReadAt& read_;
  std::uint64_t size_;
  const McubootHeader& header_;
  FormatCheck out_;
};

}  // namespace

std::optional<McubootHeader> parse_mcuboot(std::span<const std::byte> head) {
  if (head.size() < kHeaderBytes) return std::nullopt;
  const auto magic = little<std::uint32_t>(head, 0);
  if (magic != kMagic && magic != kMagicV1) return std::nullopt;
  McubootHeader header;
  header.header_size = little<std::uint16_t>(head, 8);
  header.protected_size = little<std::uint16_t>(head, 10);
  header.image_size = little<std::uint32_t>(head, 12);
  header.flags = little<std::uint32_t>(head, 16);
  if (header.header_size < kHeaderBytes || header.image_size == 0) return std::nullopt;
  header.version = std::to_string(little<std::uint8_t>(head, 20)) + '.' +
                   std::to_string(little<std::uint8_t>(head, 21)) + '.' +
                   std::to_string(little<std::uint16_t>(head, 22));
  if (const auto build = little<std::uint32_t>(head, 24); build != 0)
    header.version += '+' + std::to_string(build);
  return header;
}

Result<FormatCheck> check_mcuboot(const ReadAt& read, std::uint64_t size, const McubootHeader& header) {
  return Checker(read, size, header).run();
}

}  // namespace otagate::firmware

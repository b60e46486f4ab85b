// SHA-256 digests: the identity of a blob.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace otagate {

// Lower-case hex of any bytes.
std::string to_hex(std::span<const std::byte> bytes);

// 32 bytes. Ordered and hashable; value type.
struct Digest {
  std::array<std::byte, 32> bytes{};

  // 64 hex digits, either case, nothing else; "sha256:" in front is accepted.
  static std::optional<Digest> parse(std::string_view text);
  std::string hex() const { return to_hex(bytes); }
  auto operator<=>(const Digest&) const = default;
};

// Incremental SHA-256 (FIPS 180-4) through OpenSSL. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> data);
  void update(std::string_view data) { update(std::as_bytes(std::span(data.data(), data.size()))); }
  // Returns the digest and starts again from nothing.
  Digest finish();

  static Digest of(std::string_view data);
  static Digest of(std::span<const std::byte> data);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace otagate

template <>
struct std::hash<otagate::Digest> {
  std::size_t operator()(const otagate::Digest& digest) const noexcept {
    std::size_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
      value = value << 8 | std::to_integer<std::size_t>(digest.bytes[i]);
    return value;
  }
};

// One representation of a resource: bytes that never change under one ETag.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway.hpp"

namespace otagate::coap {

using Etag = std::array<std::uint8_t, 8>;

// The first 8 bytes of SHA-256 of the entity tag's text.
Etag etag_of(std::string_view tag);

inline constexpr std::uint16_t kLinkFormat = 40;
inline constexpr std::uint16_t kOctets = 42;
inline constexpr std::uint16_t kJson = 50;

// kUnreadable: the file is at fault, which the host has been told.
enum class ReadState : std::uint8_t { kOk, kNotReady, kFailed, kUnreadable };

class Entity {
 public:
  virtual ~Entity() = default;

  virtual ReadState read(std::uint64_t offset, std::span<std::uint8_t> into) const = 0;
  // Nothing while the end of a blob that is being filled is not known.
  virtual std::optional<std::uint64_t> size() const = 0;
  // False: not a byte of it may leave any more; get another.
  virtual bool usable() const { return true; }

  Etag etag{};
  std::uint16_t format = kOctets;
  std::uint8_t code = 69;  // 2.05, or 4.09 for a list of choices
  unsigned max_szx = 6;    // the listener's or the device type's limit
  bool moves = false;      // `latest`: tell caches not to keep it
};

using EntityPtr = std::shared_ptr<const Entity>;

// Text held in memory.
class Document final : public Entity {
 public:
  Document(std::string text, std::uint16_t content_format);
  ReadState read(std::uint64_t offset, std::span<std::uint8_t> into) const override;
  std::optional<std::uint64_t> size() const override { return text_.size(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// A blob through the host's reader, which is closed with it. Lives and dies on the listener's thread,
// before the Gateway.
class Blob final : public Entity {
 public:
  Blob(Gateway& gateway, const OpenBlob& opened);
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;
  ~Blob() override;

  ReadState read(std::uint64_t offset, std::span<std::uint8_t> into) const override;
  std::optional<std::uint64_t> size() const override;
  bool usable() const override;
  bool filling() const;
  std::uint64_t ready() const;
  std::uint64_t reader() const { return reader_; }
  const std::string& sha256() const { return sha256_; }  // empty while unknown

  // The host said, by want(), that this range can be read ahead of the contiguous part.
  void grant(std::uint64_t offset, std::uint64_t length) const;

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  bool granted(std::uint64_t offset, std::uint64_t length) const;

  Gateway& gateway_;
  std::uint64_t reader_;
  std::string sha256_;
  int fd_;
  const otagate_blob_page* page_;
  std::uint64_t size_;
  mutable std::array<Range, 16> granted_{};  // newest overwrite oldest
  mutable std::size_t next_grant_ = 0;
};

}  // namespace otagate::coap

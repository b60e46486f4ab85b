// What a device has of an image: the bytes themselves are not kept, only how many and their SHA-256.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace otagate::sim {

class Image {
 public:
  Image();
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  // Nothing of it yet. `key` names the update.
  void begin(std::string_view key);
  void clear() { begin({}); }
  const std::string& key() const { return key_; }
  std::uint64_t offset() const { return offset_; }
  void append(std::string_view data);
  // SHA-256 of what is there, hex.
  std::string sha256() const;

 private:
  struct Hash;
  std::unique_ptr<Hash> hash_;  // none while there are no bytes: most devices of a fleet have none
  std::string key_;
  std::uint64_t offset_ = 0;
};

// Lower-case hex.
std::string hex(std::string_view bytes);

}  // namespace otagate::sim

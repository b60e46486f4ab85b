// Bytes to cache, and a folder for them.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/digest.hpp"

namespace otagate::cache {

using Bytes = std::vector<std::byte>;

// Counts scale with OTAGATE_TEST_SCALE; 0.1 unless it says otherwise.
inline int scaled(int count) {
  const char* text = std::getenv("OTAGATE_TEST_SCALE");
  const double scale = text != nullptr ? std::atof(text) : 0.1;
  return std::max(1, static_cast<int>(count * scale));
}

inline Bytes make_bytes(std::size_t size, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

inline Digest digest_of(const Bytes& bytes) { return Sha256::of(std::span<const std::byte>(bytes)); }

class TempDir {
 public:
  TempDir() {
    // In memory unless TMPDIR says otherwise: on a busy disk each sync may take seconds.
    const bool memory = std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string name = parent / "otagate-cache-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace otagate::cache

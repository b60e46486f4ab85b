// SHA-256 of files, remembered as long as their change token stays.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace otagate::directory {

// Any thread. About 80 bytes a file, whatever its name: what identifies a file in one state is a digest of
// both, and digests are kept as bytes.
class DigestCache {
 public:
  // The 64 hex digits known for `key` in that state, or nothing.
  std::string find(const std::string& key, const std::string& token);
  void remember(const std::string& key, const std::string& token, const std::string& sha256);
  // A listing starts at the first file: what none of the last two listings asked for is forgotten.
  void begin_run();

  static constexpr std::size_t kMaxEntries = 200'000;

 private:
  using Id = std::array<std::uint64_t, 2>;
  struct Hash {
    std::size_t operator()(const Id& id) const { return static_cast<std::size_t>(id[0]); }
  };
  struct Entry {
    std::array<unsigned char, 32> sha256{};
    std::uint32_t run = 0;
  };
  static Id id_of(const std::string& key, const std::string& token);

  std::mutex mutex_;
  std::unordered_map<Id, Entry, Hash> entries_;  // under mutex_
  std::uint32_t run_ = 0;                        // under mutex_
};

// Of the bytes of `fd` from 0 to its end, read by position. Empty when `stopped` said true, which is
// asked after every MiB. Throws Failure when it cannot be read.
std::string file_sha256(int fd, const std::function<bool()>& stopped);

}  // namespace otagate::directory

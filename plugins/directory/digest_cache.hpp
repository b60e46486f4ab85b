// SHA-256 of files, remembered as long as their change token stays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace otagate::directory {

// Any thread.
class DigestCache {
 public:
  // The 64 hex digits known for `key` in that state, or nothing.
  std::string find(const std::string& key, const std::string& token);
  void remember(const std::string& key, const std::string& token, const std::string& sha256);
  // A listing starts at the first file: what none of the last two listings asked for is forgotten.
  void begin_run();

  static constexpr std::size_t kMaxEntries = 100'000;

 private:
  struct Entry {
    std::string token;
    std::string sha256;
    std::uint64_t run = 0;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // under mutex_
  std::uint64_t run_ = 0;                           // under mutex_
};

// Of the bytes of `fd` from 0 to its end, read by position. Empty when `stopped` said true, which is
// asked after every MiB. Throws Failure when it cannot be read.
std::string file_sha256(int fd, const std::function<bool()>& stopped);

}  // namespace otagate::directory

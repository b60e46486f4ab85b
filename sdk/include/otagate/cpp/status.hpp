// The plugin ABI's plain data in C++ terms: statuses, strings, packed pairs, structs of any size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "otagate/plugin.h"

namespace otagate::sdk {

// How a call failed: thrown by a plugin, it becomes the call's completion; thrown by the blocking
// calls of Host, it is what the gateway answered. `status` is one of OTAGATE_TRANSIENT and so on.
// The message says what was wrong, where and what to do, and carries no secret.
struct Failure : std::exception {
  Failure(std::uint32_t status_value, std::string message_value, std::uint64_t retry_after = 0)
      : status(status_value), retry_after_ms(retry_after), message(std::move(message_value)) {}
  const char* what() const noexcept override { return message.c_str(); }

  std::uint32_t status;
  std::uint64_t retry_after_ms;
  std::string message;
};

// Key and value, as metadata, versions, attributes and parameters are kept.
using Pairs = std::vector<std::pair<std::string, std::string>>;

inline std::string_view view(const otagate_str& text) {
  return text.data ? std::string_view(text.data, static_cast<std::size_t>(text.size)) : std::string_view();
}

// Borrows: valid as long as what it was made of.
inline otagate_str str(std::string_view text) {
  otagate_str out{};
  out.data = text.data();
  out.size = text.size();
  return out;
}

// "key\0value\0key\0value\0". A NUL inside a key or value would be read as its end, so it ends there.
inline std::string pack(const Pairs& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) {
    out.append(key.c_str()).push_back('\0');
    out.append(value.c_str()).push_back('\0');
  }
  return out;
}

inline std::string pack(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(word.c_str()).push_back('\0');
  return out;
}

inline std::vector<std::string> unpack_words(std::string_view packed) {
  std::vector<std::string> out;
  while (!packed.empty()) {
    const std::size_t end = std::min(packed.find('\0'), packed.size());
    out.emplace_back(packed.substr(0, end));
    packed.remove_prefix(std::min(end + 1, packed.size()));
  }
  return out;
}

// A key without a value at the end reads as an empty value.
inline Pairs unpack(std::string_view packed) {
  Pairs out;
  std::vector<std::string> words = unpack_words(packed);
  for (std::size_t i = 0; i < words.size(); i += 2)
    out.emplace_back(std::move(words[i]), i + 1 < words.size() ? std::move(words[i + 1]) : std::string());
  return out;
}

// A struct as the other side filled it in: members beyond its `size` read as zero.
template <class T>
T read_struct(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T out{};
  if (!from) return out;
  std::uint32_t size = 0;
  std::memcpy(&size, from, sizeof size);
  std::memcpy(&out, from, std::min<std::size_t>(size, sizeof(T)));
  return out;
}

// The reverse, into a struct that the other side owns: members beyond its `size` are left out.
template <class T>
void write_struct(T* to, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (!to) return;
  value.size = to->size;
  std::memcpy(static_cast<void*>(to), &value, std::min<std::size_t>(to->size, sizeof(T)));
}

// A struct with its size set and all else zero.
template <class T>
T make_struct() {
  T out{};
  out.size = sizeof(T);
  return out;
}

// What a call came to. `value` is meaningful when status is OTAGATE_OK (and, for lists, when the
// status says that several were found).
template <class T>
struct Outcome {
  std::uint32_t status = OTAGATE_OK;
  std::uint64_t retry_after_ms = 0;
  std::string message;
  T value{};

  explicit operator bool() const { return status == OTAGATE_OK; }
  // The value, or the status as a Failure.
  T take() && {
    if (status != OTAGATE_OK) throw Failure(status, std::move(message), retry_after_ms);
    return std::move(value);
  }
};

struct Nothing {};

}  // namespace otagate::sdk

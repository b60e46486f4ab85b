// Reading what a plugin passes: structs of another size than ours, borrowed strings, packed pairs.
// Every bound is checked here, because a plugin's mistake must not become the daemon's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "otagate/plugin.h"
#include "plugin/instance.hpp"

namespace otagate::plugin {

// A struct as the plugin filled it in: members beyond its `size` read as zero.
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

// Into a struct the plugin owns: members beyond its `size` are left out.
template <class T>
void write_struct(T* to, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (!to) return;
  value.size = to->size;
  std::memcpy(static_cast<void*>(to), &value, std::min<std::size_t>(to->size, sizeof(T)));
}

template <class T>
T make_struct() {
  T out{};
  out.size = sizeof(T);
  return out;
}

inline otagate_str to_str(std::string_view text) {
  otagate_str out{};
  out.data = text.data();
  out.size = text.size();
  return out;
}

// nullopt: larger than a message may be.
inline std::optional<std::string_view> borrowed(const otagate_str& text,
                                                std::size_t most = OTAGATE_MESSAGE_MAX) {
  if (text.size > most) return std::nullopt;
  if (!text.data) return std::string_view();
  return std::string_view(text.data, static_cast<std::size_t>(text.size));
}

// Text for people: cut instead of refused.
std::string message_text(const otagate_str& text);

inline constexpr std::size_t kMaxPairs = 64;

// nullopt: too large or too many.
std::optional<Pairs> unpack_pairs(const otagate_str& packed, std::size_t most = kMaxPairs);
std::optional<std::vector<std::string>> unpack_words(const otagate_str& packed, std::size_t most);
std::string pack_pairs(const Pairs& pairs);

// What the plugin said a call came to; an unknown status is internal. Not for OTAGATE_OK.
Error to_error(const otagate_completion& completion);

}  // namespace otagate::plugin

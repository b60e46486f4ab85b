// What answers have taught: how to hold the next one against them.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "web/validator.hpp"

namespace otagate::web {

// What a HEAD said of an object of whose bytes the index says too little.
struct Headed {
  std::string entry{};  // what the index said then
  std::string token{};
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::int64_t modified = 0;  // seconds since 1970
  bool ranges = false;
};

// Any thread. Bounded: what does not fit is asked for again.
class Memory {
 public:
  // The state that was sent for a change token. A token that holds a digest says nothing about answers:
  // the first one of a fill is what the others must fit.
  Validator with_seen(std::string_view key, std::string_view token, Validator known) const;
  void saw(std::string_view key, std::string_view token, const Validator& answer);

  std::optional<Headed> headed(std::string_view key, std::string_view entry) const;
  void remember(std::string_view key, Headed what);

  // The object has changed: everything about it is to be found out again.
  void forget(std::string_view key);

  std::optional<bool> ranges(const std::string& origin) const;
  // True when it was otherwise before.
  bool learn_ranges(const std::string& origin, bool ranges);
  // An object of it could not be asked about. After some of these it counts as one without ranges, until a
  // download shows better.
  void cannot_tell_ranges(const std::string& origin);

 private:
  struct Ranges {
    std::optional<bool> known{};
    unsigned failed = 0;
  };

  mutable std::mutex mutex_;
  // All under mutex_.
  std::map<std::string, std::pair<std::string, Validator>, std::less<>> seen_;  // by key: token, state
  std::map<std::string, Headed, std::less<>> headed_;                           // by key
  std::map<std::string, Ranges, std::less<>> ranges_;                           // by origin
};

}  // namespace otagate::web

// What is sent to hawkBit, as its DDI documents it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "otagate/cpp/store.hpp"

namespace otagate::hawkbit {

// hawkBit refuses more.
inline constexpr std::size_t kMaxDetail = 512;
inline constexpr std::size_t kMaxAttributes = 100;
inline constexpr std::size_t kMaxAttribute = 128;  // bytes of a key, and of a value

// A message and where below a target's own resource it goes.
struct Message {
  std::string path;
  std::string body;
};

// Nothing for a kind that DDI has no word for. `cancel_id`: of the cancel action that stops external_id; the
// action's own number where it is not known, which is what hawkBit gives it.
std::optional<Message> feedback_message(const sdk::Feedback& feedback, std::string_view cancel_id);

// The message of an action that cannot be carried out here.
Message refusal_message(std::string_view action, std::string_view why);

// The target's attributes take the place of those the server has. What is longer than hawkBit takes is cut,
// what has a longer key is left out.
std::string config_data(const sdk::Pairs& attributes);

// Of done bytes of total, in whole percent; 100 only when all are there.
std::uint64_t percent(std::uint64_t done, std::uint64_t total);

}  // namespace otagate::hawkbit

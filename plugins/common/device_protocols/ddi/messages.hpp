// What a DDI client sends, read in one place. All of it is hostile: whatever is not as hawkBit documents it
// is refused with what was wrong; members nobody needs here ("id", "time", "timestamp") are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ddi/vocabulary.hpp"

namespace otagate::plugins::devices::ddi {

inline constexpr std::size_t kMaxBody = std::size_t{64} << 10;
inline constexpr std::size_t kMaxDetails = 512;  // of the text that is kept of a feedback's details
inline constexpr std::size_t kMaxData = 100;     // attributes in one message

using common::ddi::Execution;
using common::ddi::Finished;

struct Feedback {
  Execution execution = Execution::proceeding;
  Finished finished = Finished::none;
  // How far it is: `count` of `of`. A client may send more than there is, or 0 of 0.
  std::uint64_t count = 0;
  std::uint64_t of = 0;
  std::int32_t code = 0;
  std::string details;  // joined, without control characters, at most kMaxDetails bytes of UTF-8
};

// That share of a blob of that size; 0 where the client says nothing that makes sense.
std::uint64_t share_of(const Feedback& feedback, std::uint64_t size);

struct ConfigData {
  using Mode = common::ddi::ConfigMode;
  Mode mode = Mode::merge;
  std::vector<std::pair<std::string, std::string>> data;
};

struct AssignedVersion {
  std::string name;
  std::string version;
};

struct Confirmation {
  bool confirmed = false;
  std::int32_t code = 0;
  std::string details;  // as in Feedback
};

// Nothing: `wrong` says why, in a sentence for the client's log.
std::optional<Feedback> parse_feedback(std::string_view json, std::string& wrong);
std::optional<ConfigData> parse_config_data(std::string_view json, std::string& wrong);
std::optional<AssignedVersion> parse_assigned_version(std::string_view json, std::string& wrong);
std::optional<Confirmation> parse_confirmation(std::string_view json, std::string& wrong);

}  // namespace otagate::plugins::devices::ddi

// What hawkBit answers, read in one place. All of it is hostile: sizes and counts are bounded, ids are
// digits, and of the links only what names a resource of ours is taken, never where they lead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ddi/vocabulary.hpp"
#include "common/http_client/failure.hpp"

namespace otagate::hawkbit {

inline constexpr std::size_t kMaxDocument = std::size_t{1} << 20;
inline constexpr std::size_t kMaxChunks = 64;
inline constexpr std::size_t kMaxArtifacts = 64;  // of a chunk
inline constexpr std::size_t kMaxText = 512;      // of a name, version, file name or value, in bytes

// An action as a link names it. `state` is the value of ?c=, which changes when what the link leads to does;
// empty where a server gives none.
struct ActionLink {
  std::string action;
  std::string state;

  friend bool operator==(const ActionLink&, const ActionLink&) = default;
};

// The answer to a poll.
struct Base {
  std::optional<std::uint64_t> sleep_seconds;
  std::optional<ActionLink> deployment;
  std::optional<ActionLink> confirmation;
  std::optional<ActionLink> cancel;
  bool config_data = false;  // the server asks for the target's attributes
};

struct Artifact {
  std::string filename;
  std::string sha256, sha1;  // lower case; empty: not said
  std::uint64_t size = 0;
  std::string url;  // https where there is a choice
};

struct Chunk {
  std::string part;
  std::string name;
  std::string version;
  std::vector<Artifact> artifacts;
  std::vector<std::pair<std::string, std::string>> metadata;
};

enum class Window : std::uint8_t { none, available, unavailable };

struct Deployment {
  std::string action;
  common::ddi::Handling download = common::ddi::Handling::forced;
  common::ddi::Handling update = common::ddi::Handling::forced;
  Window window = Window::none;
  std::vector<Chunk> chunks;
};

struct Cancel {
  std::string id;    // of the cancel action, where its feedback goes
  std::string stop;  // the action to be stopped
};

// OTAGATE_PERMANENT with what was wrong.
common::Outcome<Base> parse_base(std::string_view json);
// Of deploymentBase, or of confirmationBase: the same below another name.
common::Outcome<Deployment> parse_deployment(std::string_view json);
common::Outcome<Cancel> parse_cancel(std::string_view json);
// The "message" or "error" of an error's body; "" where there is none.
std::string error_message(std::string_view json);

// Digits, as hawkBit numbers its actions: what may be part of a URL that we make.
bool valid_action(std::string_view id);

}  // namespace otagate::hawkbit

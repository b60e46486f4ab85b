// The words of hawkBit's Direct Device Integration API, for whoever speaks it as a server (to devices) or as
// a client (to hawkBit).
//
// Protocol: https://eclipse.dev/hawkbit/apis/ddi_api
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otagate::common::ddi {

// status.execution and status.result.finished of a feedback.
enum class Execution : std::uint8_t {
  closed,
  proceeding,
  canceled,
  scheduled,
  rejected,
  resumed,
  downloaded,
  download
};
enum class Finished : std::uint8_t { success, failure, none };
// mode of configData.
enum class ConfigMode : std::uint8_t { merge, replace, remove };
// download and update of a deployment.
enum class Handling : std::uint8_t { skip, attempt, forced };

template <class T, std::size_t N>
using Words = std::array<std::pair<std::string_view, T>, N>;

inline constexpr Words<Execution, 8> kExecutions = {{
    {"closed", Execution::closed},
    {"proceeding", Execution::proceeding},
    {"canceled", Execution::canceled},
    {"scheduled", Execution::scheduled},
    {"rejected", Execution::rejected},
    {"resumed", Execution::resumed},
    {"downloaded", Execution::downloaded},
    {"download", Execution::download},
}};
inline constexpr Words<Finished, 3> kFinished = {
    {{"success", Finished::success}, {"failure", Finished::failure}, {"none", Finished::none}}};
inline constexpr Words<ConfigMode, 3> kConfigModes = {
    {{"merge", ConfigMode::merge}, {"replace", ConfigMode::replace}, {"remove", ConfigMode::remove}}};
inline constexpr Words<Handling, 3> kHandlings = {
    {{"skip", Handling::skip}, {"attempt", Handling::attempt}, {"forced", Handling::forced}}};
inline constexpr Words<bool, 2> kConfirmations = {{{"confirmed", true}, {"denied", false}}};

template <class T, std::size_t N>
constexpr std::optional<T> parse_word(const Words<T, N>& words, std::string_view word) {
  for (const auto& [text, value] : words) {
    if (text == word) return value;
  }
  return std::nullopt;
}
template <class T, std::size_t N>
constexpr std::string_view word_of(const Words<T, N>& words, T value) {
  for (const auto& [text, known] : words) {
    if (known == value) return text;
  }
  return {};
}

// "os" is the part of a release that every DDI client looks for: the gateway's component "application".
// Others keep their name.
std::string_view part_name(std::string_view component);
std::string_view component_name(std::string_view part);

// config.polling.sleep: "HH:mm:ss". Up to 99 hours are written; nothing is read of what is not of that form.
std::string format_sleep(std::uint64_t seconds);
std::optional<std::uint64_t> parse_sleep(std::string_view text);

}  // namespace otagate::common::ddi

#include "common/device_protocols/ddi/messages.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <limits>

#include <boost/json.hpp>

namespace otagate::plugins::devices::ddi {
namespace {

namespace json = boost::json;

using common::ddi::kConfigModes;
using common::ddi::kConfirmations;
using common::ddi::kExecutions;
using common::ddi::kFinished;

// A message that is not as it should be; caught where it was begun to be read.
struct Wrong {
  std::string why;
};

json::object read(std::string_view text) {
  if (text.size() > kMaxBody) throw Wrong{"the message is longer than 64 KiB"};
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) throw Wrong{"the body must be a JSON object"};
  return std::move(value.as_object());
}

const json::object& object_at(const json::object& from, std::string_view key, std::string_view name) {
  const json::value* value = from.if_contains(key);
  if (value == nullptr || !value->is_object()) throw Wrong{std::string(name) + " must be an object"};
  return value->get_object();
}

std::string_view text_at(const json::object& from, std::string_view key, std::string_view name) {
  const json::value* value = from.if_contains(key);
  if (value == nullptr || !value->is_string()) throw Wrong{std::string(name) + " must be a string"};
  return {value->get_string().data(), value->get_string().size()};
}

template <class Table>
auto word_at(const json::object& from, std::string_view key, std::string_view name, const Table& table) {
  const std::string_view word = text_at(from, key, name);
  if (const auto found = common::ddi::parse_word(table, word)) return *found;
  std::string known;
  for (const auto& entry : table) known.append(known.empty() ? "" : ", ").append(entry.first);
  throw Wrong{std::string(name) + " must be one of " + known};
}

std::uint64_t count_at(const json::object& from, std::string_view key, std::string_view name) {
  const json::value* value = from.if_contains(key);
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
    return static_cast<std::uint64_t>(value->get_int64());
  if (value != nullptr && value->is_uint64()) return value->get_uint64();
  throw Wrong{std::string(name) + " must be a whole number from 0 on"};
}

// Absent or null: 0. One that does not fit is as good as none.
std::int32_t code_of(const json::object& from) {
  const json::value* value = from.if_contains("code");
  if (value == nullptr || value->is_null() || value->is_uint64()) return 0;
  if (!value->is_int64()) throw Wrong{"code must be a whole number"};
  const std::int64_t code = value->get_int64();
  const bool fits =
      code >= std::numeric_limits<std::int32_t>::min() && code <= std::numeric_limits<std::int32_t>::max();
  return fits ? static_cast<std::int32_t>(code) : 0;
}

void append_bounded(std::string& out, std::string_view text) {
  if (!out.empty() && !text.empty() && out.size() < kMaxDetails) out += "; ";
  for (const char c : text) {
    if (out.size() >= kMaxDetails) break;
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
}

// Cuts what was left of a character at the end.
void end_whole(std::string& text) {
  if (text.size() < kMaxDetails) return;
  text.resize(kMaxDetails);
  const auto byte_at = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  std::size_t start = text.size();
  while (start > 0 && (byte_at(start - 1) & 0xC0U) == 0x80U) --start;
  if (start == 0) return text.clear();
  const unsigned char lead = byte_at(start - 1);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (start - 1 + length > text.size()) text.resize(start - 1);
}

std::string details_of(const json::object& from) {
  const json::value* value = from.if_contains("details");
  if (value == nullptr || value->is_null()) return {};
  std::string out;
  if (!value->is_array()) throw Wrong{"details must be a list of strings"};
  for (const json::value& line : value->get_array()) {
    if (!line.is_string()) throw Wrong{"details must be a list of strings"};
    append_bounded(out, {line.get_string().data(), line.get_string().size()});
  }
  end_whole(out);
  return out;
}

template <class T, class Read>
std::optional<T> parsed(std::string_view text, std::string& wrong, Read read_members) {
  try {
    return read_members(read(text));
  } catch (const Wrong& problem) {
    wrong = problem.why;
  } catch (const std::exception& problem) {
    wrong = std::string("the message cannot be read: ") + problem.what();
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t share_of(const Feedback& feedback, std::uint64_t size) {
  if (feedback.of == 0 || feedback.count > feedback.of) return 0;
  if (feedback.count == feedback.of) return size;
  const double share = static_cast<double>(feedback.count) / static_cast<double>(feedback.of);
  return std::min(size, static_cast<std::uint64_t>(share * static_cast<double>(size)));
}

std::optional<Feedback> parse_feedback(std::string_view text, std::string& wrong) {
  return parsed<Feedback>(text, wrong, [](const json::object& message) {
    const json::object& status = object_at(message, "status", "status");
    const json::object& result = object_at(status, "result", "status.result");
    Feedback out;
    out.execution = word_at(status, "execution", "status.execution", kExecutions);
    out.finished = word_at(result, "finished", "status.result.finished", kFinished);
    if (const json::value* progress = result.if_contains("progress");
        progress != nullptr && !progress->is_null()) {
      const json::object& share = object_at(result, "progress", "status.result.progress");
      out.count = count_at(share, "cnt", "status.result.progress.cnt");
      out.of = count_at(share, "of", "status.result.progress.of");
    }
    out.code = code_of(status);
    out.details = details_of(status);
    return out;
  });
}

std::optional<ConfigData> parse_config_data(std::string_view text, std::string& wrong) {
  return parsed<ConfigData>(text, wrong, [](const json::object& message) {
    ConfigData out;
    if (const json::value* mode = message.if_contains("mode"); mode != nullptr && !mode->is_null())
      out.mode = word_at(message, "mode", "mode", kConfigModes);
    const json::object& data = object_at(message, "data", "data");
    if (data.size() > kMaxData) throw Wrong{"data has more than 100 members"};
    for (const auto& [key, value] : data) {
      // Clients that have nothing to say of a member send null.
      if (!value.is_string() && !value.is_null()) throw Wrong{"the members of data must be strings"};
      out.data.emplace_back(key, value.is_null() ? std::string() : std::string(value.get_string()));
    }
    return out;
  });
}

std::optional<AssignedVersion> parse_assigned_version(std::string_view text, std::string& wrong) {
  return parsed<AssignedVersion>(text, wrong, [](const json::object& message) {
    AssignedVersion out{std::string(text_at(message, "name", "name")),
                        std::string(text_at(message, "version", "version"))};
    if (out.name.empty() || out.version.empty()) throw Wrong{"name and version may not be empty"};
    return out;
  });
}

std::optional<Confirmation> parse_confirmation(std::string_view text, std::string& wrong) {
  return parsed<Confirmation>(text, wrong, [](const json::object& message) {
    Confirmation out;
    out.confirmed = word_at(message, "confirmation", "confirmation", kConfirmations);
    out.code = code_of(message);
    out.details = details_of(message);
    return out;
  });
}

}  // namespace otagate::plugins::devices::ddi

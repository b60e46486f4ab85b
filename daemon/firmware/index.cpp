#include "firmware/index.hpp"

#include <utility>

#include "firmware/json_text.hpp"

namespace otagate::firmware {

Result<void> IndexFile::feed(std::string_view piece) {
  if (piece.size() > kMaxIndex - bytes_) {
    bytes_ = kMaxIndex;
    return fail(Code::invalid, "the index file is larger than 16 MiB");
  }
  bytes_ += piece.size();
  while (!piece.empty()) {
    const std::size_t newline = piece.find('\n');
    const std::string_view part = piece.substr(0, newline);
    if (newline != std::string_view::npos && partial_.empty() && !overlong_) {
      line_done(part);  // a whole line: parsed where it lies
    } else {
      if (!overlong_) partial_ += part.substr(0, kMaxIndexLine + 1);
      overlong_ = overlong_ || partial_.size() > kMaxIndexLine;
      if (newline != std::string_view::npos) line_done(std::exchange(partial_, {}));
    }
    if (newline == std::string_view::npos) break;
    piece.remove_prefix(newline + 1);
  }
  return {};
}

void IndexFile::finish() {
  if (!partial_.empty()) line_done(std::exchange(partial_, {}));
}

void IndexFile::line_done(std::string_view line) {
  ++line_;
  const bool overlong = std::exchange(overlong_, false) || line.size() > kMaxIndexLine;
  if (overlong) return problem("the line is longer than 64 KiB");
  if (line_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && blank(line.back())) line.remove_suffix(1);
  if (line.empty() || line.front() == '#') return;
  if (std::string reason = take(line, line_); !reason.empty()) problem(std::move(reason));
}

void IndexFile::problem(std::string reason) {
  ++problem_count_;
  if (problems_.size() < kMaxProblems) problems_.push_back({line_, std::move(reason)});
}

namespace {

// Reads members that have to be there and those that may. "" or the reason why it cannot.
struct Wanted {
  const char* key;
  bool required;
  std::string* out;
};

template <std::size_t N>
std::string read_members(std::string_view line, const Wanted (&wanted)[N]) {
  const Result<JsonObject> object = JsonObject::parse(line);
  if (!object) return "the line " + object.error().message();
  for (const Wanted& member : wanted) {
    Result<std::optional<std::string>> value = object->text(member.key);
    if (!value) return value.error().message();
    if (*value) *member.out = std::move(**value);
    if (member.required && member.out->empty()) return "\"" + std::string(member.key) + "\" is missing";
  }
  return {};
}

}  // namespace

std::string FirmwareIndex::take(std::string_view line, std::size_t) {
  std::string name;
  Entry entry;
  std::string reason = read_members(line, {{"name", true, &name},
                                           {"description", false, &entry.description},
                                           {"deviceType", false, &entry.type}});
  if (!reason.empty()) return reason;
  if (const Result<void> good = check_name(name); !good) return good.error().message();
  if (!entry.type.empty())
    if (const Result<void> good = check_type(entry.type); !good) return good.error().message();
  const auto [known, fresh] = entries_.emplace(std::move(name), std::move(entry));
  return fresh ? "" : "the name \"" + known->first + "\" was there before; the first one counts";
}

const FirmwareIndex::Entry* FirmwareIndex::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string VersionIndex::take(std::string_view line, std::size_t) {
  std::string key;
  Entry entry;
  std::string reason = read_members(
      line, {{"key", true, &key}, {"name", true, &entry.name}, {"version", true, &entry.version}});
  if (!reason.empty()) return reason;
  if (key.size() > kMaxKey) return "the key is longer than 1024 bytes";
  if (const Result<void> good = check_name(entry.name); !good) return good.error().message();
  if (const Result<void> good = check_version(entry.version); !good) return good.error().message();
  const auto [known, fresh] = entries_.emplace(std::move(key), std::move(entry));
  return fresh ? "" : "the key was there before; the first one counts";
}

const VersionIndex::Entry* VersionIndex::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::optional<Claim> claim_from_index(const FirmwareIndex& firmware, const VersionIndex& versions,
                                      std::string_view key) {
  const VersionIndex::Entry* version = versions.find(key);
  if (!version) return std::nullopt;
  Claim claim;
  claim.name = version->name;
  claim.version = version->version;
  if (const FirmwareIndex::Entry* entry = firmware.find(version->name); entry && !entry->type.empty())
    claim.type = entry->type;
  return claim;
}

}  // namespace otagate::firmware

#include "firmware/identity.hpp"

namespace otagate::firmware {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::firmware: return "firmware";
    case Kind::software: return "software";
    case Kind::patch: return "patch";
  }
  return "firmware";
}

std::optional<Kind> parse_kind(std::string_view text) {
  for (const Kind kind : {Kind::firmware, Kind::software, Kind::patch})
    if (text == to_string(kind)) return kind;
  return std::nullopt;
}

bool valid_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto continuation = [&](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t more = 0;
    if (lead >= 0xC2 && lead <= 0xDF)
      more = 1;
    else if (lead >= 0xE0 && lead <= 0xEF)
      more = 2;
    else if (lead >= 0xF0 && lead <= 0xF4)
      more = 3;
    else
      return false;
    for (std::size_t k = 1; k <= more; ++k)
      if (!continuation(i + k)) return false;
    const auto second = static_cast<unsigned char>(text[i + 1]);
    // Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

namespace {

bool control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    // C1: U+0080 to U+009F is C2 80 to C2 9F.
    if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

Result<void> check(std::string_view what, std::string_view text, std::size_t max) {
  const auto wrong = [&](const std::string& why) {
    return fail(Code::rejected, "the " + std::string(what) + ' ' + why);
  };
  if (text.empty()) return wrong("is empty");
  if (text.size() > max) return wrong("is longer than " + std::to_string(max) + " bytes");
  if (!valid_utf8(text)) return wrong("is not UTF-8");
  if (control_character(text)) return wrong("contains a control character");
  if (text.find_first_of("/\\") != std::string_view::npos) return wrong("contains a slash");
  if (text.front() == ' ' || text.back() == ' ') return wrong("begins or ends with a space");
  if (text == "." || text == "..") return wrong("is \"" + std::string(text) + '"');
  return {};
}

}  // namespace

Result<void> check_name(std::string_view name) { return check("name", name, kMaxName); }
Result<void> check_type(std::string_view type) { return check("type", type, kMaxType); }

Result<void> check_version(std::string_view version) {
  if (version == "latest")
    return fail(Code::rejected, "the version is \"latest\", which stands for the newest one");
  return check("version", version, kMaxVersion);
}

}  // namespace otagate::firmware

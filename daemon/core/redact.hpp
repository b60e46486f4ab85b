// A second line of defence: text that looks like a secret although nobody declared it one.
#pragma once

#include <string>
#include <string_view>

namespace otagate {

inline constexpr std::string_view kRedacted = "***";

// True for names such as "password", "secret_key", "auth_token" or "connection_string".
bool secret_name(std::string_view key);

// kRedacted under a secret name; else the text, with passwords and signatures inside URLs replaced.
std::string redacted_text(std::string_view key, std::string_view text);

}  // namespace otagate

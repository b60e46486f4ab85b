#include "http/device_answer.hpp"

#include <algorithm>
#include <array>

namespace otagate::http {
namespace {

bool is_token(std::string_view name) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != std::string_view::npos;
  });
}

bool is_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool is_framing(std::string_view name) {
  constexpr std::array<std::string_view, 7> kFraming = {
      "connection", "content-length", "date", "keep-alive", "trailer", "transfer-encoding", "upgrade"};
  return std::find(kFraming.begin(), kFraming.end(), lower(name)) != kFraming.end();
}

}  // namespace

std::string media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.front() == ' ' || type.front() == '\t')) type.remove_prefix(1);
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return lower(type);
}

std::optional<std::string> answer_fields(const plugins::devices::Response& response) {
  if (response.status < 200 || response.status > 599) return std::nullopt;
  std::string out;
  bool fine = true;
  const auto add = [&](std::string_view name, std::string_view value) {
    fine = fine && is_token(name) && is_value(value) && !is_framing(name);
    out.append(name).append(": ").append(value).append("\r\n");
  };
  if (!response.content_type.empty()) add("Content-Type", response.content_type);
  if (!response.command.empty()) add("command", response.command);
  if (response.retry_after != 0) add("Retry-After", std::to_string(response.retry_after));
  for (const auto& [name, value] : response.headers) add(name, value);
  if (!fine) return std::nullopt;
  return out;
}

}  // namespace otagate::http

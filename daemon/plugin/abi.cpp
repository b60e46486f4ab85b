#include "plugin/abi.hpp"

namespace otagate::plugin {
namespace {

constexpr std::size_t kMaxMessage = 4096;  // of a text that ends up in logs and status

}  // namespace

std::string message_text(const otagate_str& text) {
  if (!text.data) return {};
  std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(text.size, kMaxMessage));
  // Not in the middle of a UTF-8 sequence.
  if (size < text.size) {
    while (size > 0 && (static_cast<unsigned char>(text.data[size]) & 0xc0u) == 0x80u) --size;
  }
  return std::string(text.data, size);
}

std::optional<std::vector<std::string>> unpack_words(const otagate_str& packed, std::size_t most) {
  const auto text = borrowed(packed);
  if (!text) return std::nullopt;
  std::vector<std::string> out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    if (out.size() == most) return std::nullopt;
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

std::optional<Pairs> unpack_pairs(const otagate_str& packed, std::size_t most) {
  auto words = unpack_words(packed, most * 2);
  if (!words) return std::nullopt;
  Pairs out;
  for (std::size_t i = 0; i < words->size(); i += 2)
    out.emplace_back(std::move((*words)[i]),
                     i + 1 < words->size() ? std::move((*words)[i + 1]) : std::string());
  return out;
}

std::string pack_pairs(const Pairs& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) {
    // A NUL inside would be read as the end.
    out.append(key.c_str()).push_back('\0');
    out.append(value.c_str()).push_back('\0');
  }
  return out;
}

Error to_error(const otagate_completion& completion) {
  const bool known = completion.status > OTAGATE_OK && completion.status <= OTAGATE_PRECONDITION;
  const Code code = known ? static_cast<Code>(completion.status) : Code::internal;
  std::string message = message_text(completion.message);
  if (message.empty()) message = "the plugin gave no reason (" + std::string(to_string(code)) + ")";
  return Error(code, std::move(message)).with_retry_after(completion.retry_after_ms);
}

}  // namespace otagate::plugin

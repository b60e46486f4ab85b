#include "plugin/manifest.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/fd.hpp"
#include "core/toml.hpp"
#include "core/value.hpp"
#include "otagate/plugin.h"

namespace otagate::plugin {
namespace {

constexpr std::size_t kMaxManifest = 64 * 1024;
constexpr std::size_t kMaxWords = 32;
constexpr std::size_t kMaxWord = 128;  // bytes

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && id.front() != '-' && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// The text under a key; otherwise `otherwise`. What is no text counts as missing.
std::string text_of(const Value& table, const char* key, const std::string& otherwise = {}) {
  const Value* value = table.get(key);
  const std::string* text = value ? value->as_string() : nullptr;
  return text ? *text : otherwise;
}

Result<std::vector<std::string>> words(const Value& table, const char* key, const std::string& where) {
  std::vector<std::string> out;
  const Value* value = table.get(key);
  if (!value) return out;
  const Value::Array* array = value->as_array();
  if (!array || array->size() > kMaxWords)
    return fail(Code::invalid, where + ": '" + key + "' must be a short list of strings");
  for (const Value& one : *array) {
    const std::string* text = one.as_string();
    if (!text || text->size() > kMaxWord)
      return fail(Code::invalid, where + ": '" + key + "' must be a list of strings");
    out.push_back(*text);
  }
  return out;
}

Result<std::uint32_t> number(const Value& table, const char* key, const std::string& where) {
  const Value* value = table.get(key);
  const std::int64_t* number = value ? value->as_int() : nullptr;
  if (!number || *number < 0 || *number > 0xffff)
    return fail(Code::invalid, where + ": '" + key + "' must be a number");
  return static_cast<std::uint32_t>(*number);
}

Result<Manifest> read(const Value& table, const std::string& where) {
  Manifest out;
  const auto version = number(table, "manifest", where);
  if (!version) return fail(version.error());
  if (*version != 1)
    return fail(Code::unsupported, where + ": manifest = " + std::to_string(*version) +
                                       " is not known here; this gateway reads 1");
  out.id = text_of(table, "id");
  if (!is_id(out.id)) return fail(Code::invalid, where + ": 'id' must be made of a-z, 0-9 and '-'");
  out.file = text_of(table, "file", out.id + ".so");
  if (out.file.empty() || out.file.find('/') != std::string::npos || out.file.find('\0') != std::string::npos)
    return fail(Code::invalid, where + ": 'file' must name a file beside the manifest");
  const auto major = number(table, "abi_major", where);
  if (!major) return fail(major.error());
  const auto minor = number(table, "abi_minor", where);
  if (!minor) return fail(minor.error());
  out.abi_major = *major;
  out.abi_minor = *minor;
  auto interfaces = words(table, "interfaces", where);
  if (!interfaces) return fail(interfaces.error());
  auto permissions = words(table, "permissions", where);
  if (!permissions) return fail(permissions.error());
  out.interfaces = std::move(*interfaces);
  out.permissions = std::move(*permissions);
  const auto sha256 = Digest::parse(text_of(table, "sha256"));
  if (!sha256)
    return fail(Code::invalid, where + ": 'sha256' must be the 64 hex digits of the shared object's SHA-256");
  out.sha256 = *sha256;
  return out;
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::string& where) {
  const auto parsed = parse_toml(text, where);
  if (!parsed) return fail(Code::invalid, parsed.error().to_string());
  return read(*parsed, where);
}

Result<Manifest> read_manifest(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fail(errno_error("open " + path.string(), errno));
  std::string text(kMaxManifest + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read " + path.string(), errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxManifest)
    return fail(Code::invalid, path.string() + ": larger than 64 KiB; that is no plugin manifest");
  text.resize(size);
  return parse_manifest(text, path.string());
}

}  // namespace otagate::plugin

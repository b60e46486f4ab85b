// links: otagate_config
// A whole configuration from text: parsing, merging, every check, rendering, plugin options. Secrets are
// not read, so that the input names no file of this machine.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/diff.hpp"
#include "config/load.hpp"
#include "config/options.hpp"
#include "config/render.hpp"

namespace {

constexpr std::string_view kSchema = R"({"type": "object", "required": ["bucket"], "properties": {
  "bucket": {"type": "string", "minLength": 1, "pattern": "^[a-z0-9.-]+$"},
  "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 9000},
  "mode": {"type": "string", "enum": ["path", "virtual"]},
  "poll": {"type": "integer", "format": "duration"}, "block": {"type": "integer", "format": "size"},
  "key": {"type": "string", "format": "secret"},
  "hosts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
  "labels": {"type": "object", "additionalProperties": {"type": "string"}}}})";

void check(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The byte 0xFF, which no TOML contains, separates a drop-in.
  const std::size_t cut = text.find('\xff');
  std::vector<Source> sources{{"main.toml", std::string(text.substr(0, cut))}};
  if (cut != std::string_view::npos) sources.push_back({"drop.toml", std::string(text.substr(cut + 1))});
  const LoadResult loaded = load_text(sources, {.read_secrets = false});
  if (!loaded) {
    check(!loaded.error().empty() && !to_string(loaded.error()).empty());
    return 0;
  }
  check(to_redacted_json(*loaded).starts_with('{'));
  check(diff(*loaded, *loaded).empty());
  for (const Store& store : loaded->stores) {
    const OptionsOwner owner{"store", store.name, store.plugin, &store.where};
    (void)validate_options(store.options, kSchema, owner);
    (void)store.options.find("hosts.0.name");
  }
  return 0;
}

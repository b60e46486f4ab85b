// links: otagate_firmware
// A bundle comes from outside: its manifest, its signature and the key beside it.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/minisign.hpp"
#include "firmware/import_list.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)otagate::firmware::parse_bundle_manifest(text);
  (void)otagate::firmware::parse_import_list(text);
  static const auto key =
      otagate::MinisignKey::parse("RWSwCOAE4pPkJoEi0yNcCiEivjYC5q8hUHPHyHfYn7wTmG3tAi+yeyzT");
  (void)otagate::verify_minisign(std::span(&*key, 1), "hello", text);
  (void)otagate::MinisignKey::parse(text);
  return 0;
}

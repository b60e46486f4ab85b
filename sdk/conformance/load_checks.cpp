// What holds for every plugin before it does anything.
#include <elf.h>
#include <malloc.h>

#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "check.hpp"
#include "host.hpp"
#include "otagate/cpp/status.hpp"
#include "resources.hpp"
#include "sha256.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTAGATE_KIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTAGATE_KIT_SANITIZED 1
#endif
#endif

namespace otagate::kit {
namespace {

using sdk::view;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Failed{path + ": cannot be read"};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

template <class T>
T at(const std::string& file, std::uint64_t offset) {
  if (offset > file.size() || sizeof(T) > file.size() - offset)
    throw Failed{"the file ends in the middle of a header"};
  T out;
  std::memcpy(&out, file.data() + offset, sizeof out);
  return out;
}

void exports_one_symbol(Subject& subject) {
  const std::string file = read_file(subject.path());
  const auto header = at<Elf64_Ehdr>(file, 0);
  expect(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
             header.e_type == ET_DYN,
         "it is no 64-bit shared object");
  std::set<std::string> names;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const auto section = at<Elf64_Shdr>(file, header.e_shoff + i * sizeof(Elf64_Shdr));
    if (section.sh_type != SHT_DYNSYM) continue;
    const auto strings = at<Elf64_Shdr>(file, header.e_shoff + section.sh_link * sizeof(Elf64_Shdr));
    for (std::uint64_t offset = 0; offset < section.sh_size; offset += sizeof(Elf64_Sym)) {
      const auto symbol = at<Elf64_Sym>(file, section.sh_offset + offset);
      const unsigned char seen = ELF64_ST_VISIBILITY(symbol.st_other);
      if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL || seen == STV_HIDDEN ||
          seen == STV_INTERNAL)
        continue;
      expect(strings.sh_offset + symbol.st_name < file.size(), "a symbol's name lies outside of the file");
      names.insert(file.c_str() + strings.sh_offset + symbol.st_name);
    }
  }
  expect(names.count("otagate_plugin_entry") == 1, "it does not export otagate_plugin_entry");
  names.erase("otagate_plugin_entry");
  expect(names.empty(), "it exports " + std::to_string(names.size()) + " more symbols, " +
                            (names.empty() ? "" : *names.begin()) +
                            " among them; link it with the SDK's version script (otagate_add_plugin() does)");
}

void manifest_matches(Subject& subject) {
  std::filesystem::path manifest = subject.path();
  manifest.replace_extension();
  manifest += ".plugin.toml";
  if (!std::filesystem::exists(manifest)) throw Skipped{"there is no " + manifest.string()};
  toml::table said;
  try {
    said = toml::parse_file(manifest.string());
  } catch (const toml::parse_error& error) {
    throw Failed{manifest.string() + ": " + std::string(error.description())};
  }
  expect(said["sha256"].value_or(std::string()) == sha256_hex(read_file(subject.path())),
         "the manifest's sha256 is not that of the file; was it stripped after it was linked?");
  expect(said["abi_major"].value_or(-1) == static_cast<int>(OTAGATE_ABI_MAJOR),
         "the manifest is of another abi_major");
  expect(said["id"].value_or(std::string()) == view(subject.plugin().id),
         "the manifest's id is not the plugin's");
  const toml::array* interfaces = said["interfaces"].as_array();
  expect(interfaces && !interfaces->empty(), "the manifest lists no interfaces");
  for (const toml::node& one : *interfaces)
    expect(subject.has(one.value_or(std::string()).c_str()),
           "the manifest promises an interface that the plugin does not have");
}

void refuses_unknown_major(Subject& subject) {
  for (std::uint32_t major : {OTAGATE_ABI_MAJOR + 1, 0u, 99u})
    expect(subject.entry()(major, 0) == nullptr,
           "it accepts a host of version " + std::to_string(major) + " of the ABI");
  expect(subject.entry()(OTAGATE_ABI_MAJOR, 99) != nullptr, "it refuses a host of a later minor version");
}

void describes_itself(Subject& subject) {
  const otagate_plugin& plugin = subject.plugin();
  const std::string_view id = view(plugin.id);
  expect(!id.empty() && id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == id.npos,
         "its id '" + std::string(id) + "' is not made of a-z, 0-9 and '-'");
  expect(plugin.version.size > 0 && plugin.summary.size > 0, "it has no version or no summary");
  expect(subject.has(OTAGATE_STORAGE_1) || subject.has(OTAGATE_TRANSPORT_1),
         "it is neither a store nor a transport");
  expect(!subject.has("otagate.storage/999"), "it claims to have an interface that does not exist");
  boost::system::error_code error;
  const auto schema = boost::json::parse(view(plugin.options_schema), error);
  expect(!error && schema.is_object(), "its options_schema is no JSON object");
}

const char* interface_of(Subject& subject) {
  return subject.has(OTAGATE_STORAGE_1) ? OTAGATE_STORAGE_1 : OTAGATE_TRANSPORT_1;
}

void unknown_interface(Subject& subject) {
  Instance instance(subject, "otagate.storage/999", subject.options());
  expect(instance.created() != OTAGATE_OK, "create() made an instance of an interface that does not exist");
  instance.no_violations();
}

void short_host_table(Subject& subject) {
  Instance instance(subject, interface_of(subject), subject.options(), Instance::HostTable::shortest);
  expect(instance.created() == OTAGATE_OK || !instance.create_error().empty(),
         "create() failed without saying why");
  instance.destroy();
  instance.no_violations();
}

void bad_config(Subject& subject) {
  boost::system::error_code error;
  const auto schema = boost::json::parse(view(subject.plugin().options_schema), error);
  const toml::table none;
  unsigned tried = 0;
  const auto refused = [&](const toml::table& options, const std::string& which) {
    ++tried;
    Instance instance(subject, interface_of(subject), options);
    expect(instance.created() != OTAGATE_OK, "create() accepts " + which);
    expect(!instance.create_error().empty(), "create() refuses " + which + " without saying why");
    instance.no_violations();
  };
  const auto* required = schema.is_object() ? schema.as_object().if_contains("required") : nullptr;
  if (required && required->is_array() && !required->as_array().empty())
    refused(none, "no options, although some are required");
  if (const toml::array* bad = subject.bad_options()) {
    for (const toml::node& one : *bad)
      if (const auto* options = one.as_table())
        refused(*options, "[[check.bad]] number " + std::to_string(tried));
  }
  if (tried == 0) throw Skipped{"nothing is required and the configuration has no [[check.bad]]"};
}

void create_100_times(Subject& subject) {
  const auto once = [&] {
    Instance instance(subject, interface_of(subject), subject.options());
    instance.must_exist();
    instance.destroy();
    instance.no_violations();
  };
  for (int i = 0; i < 10; ++i) once();  // what is loaded on first use is no leak
  const Resources before = Resources::now();
#ifndef OTAGATE_KIT_SANITIZED
  const auto used = ::mallinfo2().uordblks;
#endif
  for (int i = 0; i < 100; ++i) once();
  expect_released(before, "creating and destroying it 100 times");
#ifndef OTAGATE_KIT_SANITIZED
  // The kit itself keeps its tables: some KiB each.
  const auto grown = ::mallinfo2().uordblks;
  constexpr std::size_t kOwn = 100 * 4096;
  expect(grown < used + kOwn + 100 * 256, "creating and destroying it 100 times leaks about " +
                                              std::to_string((grown - used - kOwn) / 100) +
                                              " bytes each time");
#endif
}

}  // namespace

std::vector<Check> load_checks() {
  return {
      {"load.one-symbol", "exports otagate_plugin_entry and nothing else", exports_one_symbol},
      {"load.manifest", "the manifest beside it matches", manifest_matches},
      {"load.unknown-major", "refuses another major version, accepts a later minor one",
       refuses_unknown_major},
      {"load.description", "id, version, summary, interfaces and schema are usable", describes_itself},
      {"create.unknown-interface", "refuses an interface it does not have", unknown_interface},
      {"create.short-host-table", "lives with a host that has fewer functions", short_host_table},
      {"create.bad-config", "refuses bad options with a message", bad_config},
      {"create.100-times", "creating and destroying leaves nothing behind", create_100_times},
  };
}

}  // namespace otagate::kit

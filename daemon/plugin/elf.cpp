#include "plugin/elf.hpp"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace otagate::plugin {
namespace {

constexpr std::uint64_t kMaxTable = 16u << 20;  // of symbols or names: far beyond any plugin
constexpr std::size_t kMaxSections = 4096;

Error broken(const char* what) {
  return Error(Code::invalid, std::string("not a usable shared object: ") + what);
}

Result<void> read_at(int fd, std::uint64_t offset, void* to, std::size_t size) {
  char* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = ::pread(fd, at, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read", errno));
    if (got == 0) return fail(broken("it ends too early"));
    at += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::string> read_table(int fd, const Elf64_Shdr& section, std::uint64_t file_size) {
  if (section.sh_size > kMaxTable || section.sh_offset > file_size ||
      section.sh_size > file_size - section.sh_offset)
    return fail(broken("a section lies outside of it"));
  std::string out(static_cast<std::size_t>(section.sh_size), '\0');
  if (auto done = read_at(fd, section.sh_offset, out.data(), out.size()); !done) return fail(done.error());
  return out;
}

}  // namespace

Result<std::vector<std::string>> exported_symbols(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error("fstat", errno));
  const auto file_size = static_cast<std::uint64_t>(info.st_size);

  Elf64_Ehdr header{};
  if (auto done = read_at(fd, 0, &header, sizeof header); !done) return fail(done.error());
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail(broken("no ELF file"));
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return fail(broken("32-bit plugins are not supported"));
  const unsigned char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  if (header.e_ident[EI_DATA] != order) return fail(broken("it was built for another kind of machine"));
  if (header.e_type != ET_DYN) return fail(broken("no shared object"));
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shnum > kMaxSections)
    return fail(broken("its section headers are missing; do not strip them"));

  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (auto done = read_at(fd, header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr)); !done)
    return fail(done.error());

  std::vector<std::string> out;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= sections.size()) return fail(broken("its symbols have no names"));
    auto symbols = read_table(fd, section, file_size);
    if (!symbols) return fail(symbols.error());
    auto names = read_table(fd, sections[section.sh_link], file_size);
    if (!names) return fail(names.error());
    for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= symbols->size(); at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol{};
      std::memcpy(&symbol, symbols->data() + at, sizeof symbol);
      const unsigned char binding = ELF64_ST_BIND(symbol.st_info);
      const unsigned char visibility = ELF64_ST_VISIBILITY(symbol.st_other);
      if (symbol.st_shndx == SHN_UNDEF || binding == STB_LOCAL) continue;
      if (visibility == STV_HIDDEN || visibility == STV_INTERNAL) continue;
      if (symbol.st_name >= names->size()) return fail(broken("a symbol's name lies outside of it"));
      out.emplace_back(names->c_str() + symbol.st_name);
    }
  }
  return out;
}

}  // namespace otagate::plugin

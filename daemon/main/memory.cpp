#include "main/memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace otagate {

namespace {

// Segments that were never writable are as in their file: dropping them loses nothing. Those with
// relocations are writable here, although they are protected later, and stay.
int drop_constant_segments(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t from = (object->dlpi_addr + segment.p_vaddr) / page * page;
    const std::uintptr_t to = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    // The kernel's own page, the vdso, refuses: nothing is lost by that either.
    ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);  // NOLINT(performance-no-int-to-ptr)
  }
  return 0;
}

}  // namespace

void limit_arenas() { ::mallopt(M_ARENA_MAX, 2); }

void give_back_memory() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(drop_constant_segments, nullptr);
}

}  // namespace otagate

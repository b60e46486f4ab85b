#include "cache/pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <limits>
#include <string>

namespace otagate::cache {

namespace {
constexpr std::size_t kTableBytes = std::size_t{PageTable::kPageCount} * sizeof(Page);
}

Result<std::shared_ptr<PageTable>> PageTable::create() {
  UniqueFd fd(::memfd_create("otagate-pages", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail(errno_error("memfd_create for the blob pages", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(kTableBytes)) != 0)
    return fail(errno_error("sizing the blob pages", errno));
  void* memory = ::mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail(errno_error("mapping the blob pages", errno));
  UniqueFd read_only(::open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only || ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    const int error_number = errno;
    ::munmap(memory, kTableBytes);
    return fail(errno_error("sealing the blob pages", error_number));
  }
  return std::shared_ptr<PageTable>(
      new PageTable(std::move(fd), std::move(read_only), static_cast<Page*>(memory)));
}

PageTable::PageTable(UniqueFd fd, UniqueFd read_only, Page* pages)
    : fd_(std::move(fd)), read_only_(std::move(read_only)), pages_(pages) {}

PageTable::~PageTable() { ::munmap(pages_, kTableBytes); }

std::optional<std::uint32_t> PageTable::take() {
  std::uint32_t slot = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (!free_.empty()) {
      std::pop_heap(free_.begin(), free_.end(), std::greater<>());
      slot = free_.back();
      free_.pop_back();
    } else if (used_ < kPageCount) {
      slot = used_++;
    } else {
      return std::nullopt;
    }
  }
  Page& page = pages_[slot];
  page.size_of = sizeof(Page);
  page.generation.fetch_add(1, std::memory_order_release);
  page.ready.store(0, std::memory_order_release);
  page.total.store(std::numeric_limits<std::uint64_t>::max(), std::memory_order_release);
  page.state.store(static_cast<std::uint32_t>(PageState::filling), std::memory_order_release);
  return slot;
}

void PageTable::release(std::uint32_t slot) {
  Page& page = pages_[slot];
  page.state.store(static_cast<std::uint32_t>(PageState::failed), std::memory_order_release);
  page.ready.store(0, std::memory_order_release);
  const std::scoped_lock lock(mutex_);
  free_.push_back(slot);
  std::push_heap(free_.begin(), free_.end(), std::greater<>());
}

}  // namespace otagate::cache

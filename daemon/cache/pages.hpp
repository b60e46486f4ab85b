// The memory all pages live in, and who holds which.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cache/page.hpp"
#include "core/error.hpp"
#include "core/fd.hpp"

namespace otagate::cache {

// A sealed memfd of kPageCount pages, sparse: only touched parts take memory. Thread-safe.
class PageTable {
 public:
  static constexpr std::uint32_t kPageCount = 65'536;

  static Result<std::shared_ptr<PageTable>> create();
  ~PageTable();
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  // The lowest free page, in state filling with nothing ready and a new generation; none when all are held.
  std::optional<std::uint32_t> take();
  // The page reads as failed until it is taken again.
  void release(std::uint32_t slot);
  Page& at(std::uint32_t slot) { return pages_[slot]; }
  // Opened read-only.
  int read_only_fd() const { return read_only_.get(); }

 private:
  PageTable(UniqueFd fd, UniqueFd read_only, Page* pages);

  UniqueFd fd_;
  UniqueFd read_only_;
  Page* pages_;
  std::mutex mutex_;                 // guards the two below
  std::vector<std::uint32_t> free_;  // a heap, smallest first, so that the table stays dense
  std::uint32_t used_ = 0;           // pages ever taken
};

// One page, held. Movable.
class PageSlot {
 public:
  PageSlot() = default;
  PageSlot(std::shared_ptr<PageTable> table, std::uint32_t slot) : table_(std::move(table)), slot_(slot) {}
  PageSlot(PageSlot&& other) noexcept = default;
  PageSlot& operator=(PageSlot&&) = delete;
  ~PageSlot() {
    if (table_) table_->release(slot_);
  }
  Page& page() const { return table_->at(slot_); }
  std::uint32_t slot() const { return slot_; }

 private:
  std::shared_ptr<PageTable> table_;
  std::uint32_t slot_ = 0;
};

}  // namespace otagate::cache

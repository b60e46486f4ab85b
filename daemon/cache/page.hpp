// The 64 bytes that readers of one blob share, in this process or another: how far it is readable.
#pragma once

#include <atomic>
#include <cstdint>

namespace otagate::cache {

enum class PageState : std::uint32_t {
  filling = 0,   // `ready` grows; the held tail is not out
  verified = 1,  // ready == total
  failed = 2,    // no more bytes: end the transfer, do not complete it
};

// Layout of the SDK's otagate_blob_page. Written by the host only. A reader that sees another
// generation than it was given holds a page that has gone to another blob.
struct alignas(64) Page {
  std::uint32_t size_of;
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint64_t> generation;
  std::atomic<std::uint64_t> ready;  // bytes readable from 0, store-release after the bytes are in the file
  std::atomic<std::uint64_t> total;  // UINT64_MAX: not known yet
  std::uint8_t reserved[32];
};
static_assert(sizeof(Page) == 64);
static_assert(alignof(Page) == 64);
// Pages are shared between processes.
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace otagate::cache

// 64-bit handles with a generation: a handle that is over never means another thing.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace otagate::plugin {

// Thread-safe. T is copied out, so it is a shared_ptr or small. Handle: generation << 32 | slot + 1.
template <class T>
class HandleTable {
 public:
  explicit HandleTable(std::size_t most) : most_(most) {}

  // 0 when the table is full.
  std::uint64_t insert(T value) {
    std::lock_guard lock(mutex_);
    if (count_ == most_) return 0;
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      // The oldest free slot, so that generations of one slot are far apart in time.
      index = free_.front();
      free_.pop_front();
    }
    Slot& slot = slots_[index];
    slot.value = std::move(value);
    ++count_;
    return std::uint64_t{slot.generation} << 32 | (index + 1);
  }

  std::optional<T> find(std::uint64_t handle) const {
    std::lock_guard lock(mutex_);
    const Slot* slot = at(handle);
    return slot ? slot->value : std::nullopt;
  }

  std::optional<T> take(std::uint64_t handle) {
    std::lock_guard lock(mutex_);
    Slot* slot = const_cast<Slot*>(at(handle));
    if (!slot) return std::nullopt;
    std::optional<T> out = std::exchange(slot->value, std::nullopt);
    if (++slot->generation == 0) slot->generation = 1;
    free_.push_back(static_cast<std::uint32_t>(slot - slots_.data()));
    --count_;
    return out;
  }

  std::vector<std::pair<std::uint64_t, T>> all() const {
    std::lock_guard lock(mutex_);
    std::vector<std::pair<std::uint64_t, T>> out;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].value)
        out.emplace_back(std::uint64_t{slots_[i].generation} << 32 | (i + 1), *slots_[i].value);
    }
    return out;
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  struct Slot {
    std::optional<T> value;
    std::uint32_t generation = 1;
  };

  const Slot* at(std::uint64_t handle) const {
    const std::uint64_t index = (handle & 0xffffffffu) - 1;
    if ((handle & 0xffffffffu) == 0 || index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[static_cast<std::size_t>(index)];
    return slot.value && slot.generation == handle >> 32 ? &slot : nullptr;
  }

  const std::size_t most_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Slot> slots_;
  std::deque<std::uint32_t> free_;
  std::size_t count_ = 0;
};

}  // namespace otagate::plugin

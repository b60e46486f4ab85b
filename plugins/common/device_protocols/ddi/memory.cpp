#include "common/device_protocols/ddi/memory.hpp"

namespace otagate::plugins::devices::ddi {
namespace {

// Deployments that devices are shown at the same time; beyond it they are kept more than once.
constexpr std::size_t kMostShared = 64;

}  // namespace

void Remembered::has_installed(std::uint64_t attempt) {
  if (shown.attempt == attempt && shown.artifacts) installed = shown;
}

Remembered Memory::get(std::string_view device) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_device_.find(device);
  return found == by_device_.end() ? Remembered() : found->second->second;
}

void Memory::update(std::string_view device, const std::function<void(Remembered&)>& change) {
  const std::scoped_lock lock(mutex_);
  auto found = by_device_.find(device);
  if (found == by_device_.end()) {
    entries_.emplace_front(std::string(device), Remembered());
    found = by_device_.emplace(entries_.front().first, entries_.begin()).first;
    if (entries_.size() > most_) {
      by_device_.erase(entries_.back().first);
      entries_.pop_back();
    }
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  change(found->second->second);
}

std::shared_ptr<const Artifacts> Memory::shared(Artifacts artifacts) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(shared_, [](const auto& one) { return one.expired(); });
  for (const auto& one : shared_) {
    if (auto known = one.lock(); known && *known == artifacts) return known;
  }
  if (shared_.size() >= kMostShared) shared_.erase(shared_.begin());
  auto made = std::make_shared<const Artifacts>(std::move(artifacts));
  shared_.push_back(made);
  return made;
}

std::size_t Memory::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

}  // namespace otagate::plugins::devices::ddi

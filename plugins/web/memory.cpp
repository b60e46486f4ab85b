#include "web/memory.hpp"

#include <utility>

#include "web/page.hpp"

namespace otagate::web {
namespace {

constexpr std::size_t kMaxSeen = 1024;
constexpr std::size_t kMaxOrigins = 256;
constexpr unsigned kProbes = 5;

// Room for one more: some other goes, whichever is first.
template <class Map>
void make_room(Map& map, std::string_view key, std::size_t limit) {
  if (map.size() >= limit && map.find(key) == map.end()) map.erase(map.begin());
}

template <class Map>
void erase(Map& map, std::string_view key) {
  if (const auto found = map.find(key); found != map.end()) map.erase(found);
}

}  // namespace

Validator Memory::with_seen(std::string_view key, std::string_view token, Validator known) const {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(key);
  if (found == seen_.end() || found->second.first != token) return known;
  const Validator& before = found->second.second;
  if (known.etag.empty()) known.etag = before.etag;
  if (known.modified == 0) known.modified = before.modified;
  if (known.size == OTAGATE_SIZE_UNKNOWN) known.size = before.size;
  return known;
}

void Memory::saw(std::string_view key, std::string_view token, const Validator& answer) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = seen_.find(key); found != seen_.end() && found->second.first == token) return;
  make_room(seen_, key, kMaxSeen);
  seen_.insert_or_assign(std::string(key), std::pair(std::string(token), answer));
}

std::optional<Headed> Memory::headed(std::string_view key, std::string_view entry) const {
  const std::scoped_lock lock(mutex_);
  const auto found = headed_.find(key);
  if (found == headed_.end() || found->second.entry != entry) return std::nullopt;
  return found->second;
}

void Memory::remember(std::string_view key, Headed what) {
  const std::scoped_lock lock(mutex_);
  make_room(headed_, key, kMaxEntries);
  headed_.insert_or_assign(std::string(key), std::move(what));
}

void Memory::forget(std::string_view key) {
  const std::scoped_lock lock(mutex_);
  erase(seen_, key);
  erase(headed_, key);
}

std::optional<bool> Memory::ranges(const std::string& origin) const {
  const std::scoped_lock lock(mutex_);
  const auto found = ranges_.find(origin);
  return found == ranges_.end() ? std::nullopt : found->second.known;
}

bool Memory::learn_ranges(const std::string& origin, bool ranges) {
  const std::scoped_lock lock(mutex_);
  make_room(ranges_, origin, kMaxOrigins);
  const std::optional<bool> before = std::exchange(ranges_[origin].known, ranges);
  return before && *before != ranges;
}

void Memory::cannot_tell_ranges(const std::string& origin) {
  const std::scoped_lock lock(mutex_);
  make_room(ranges_, origin, kMaxOrigins);
  Ranges& of = ranges_[origin];
  if (++of.failed >= kProbes && !of.known) of.known = false;
}

}  // namespace otagate::web

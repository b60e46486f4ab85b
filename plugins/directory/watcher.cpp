#include "directory/watcher.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <vector>

namespace otagate::directory {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetryRoot{1000};
// A deletion needs no rest, only a moment for what belongs together.
constexpr milliseconds kGone{50};
constexpr std::size_t kMaxTracked = 4096;  // files at once; past it a hint without key says it all
constexpr std::size_t kMaxHints = 64;

constexpr std::uint32_t kMask = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                                IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                                IN_DONT_FOLLOW | IN_EXCL_UNLINK;

// truncate(2) writes without ever opening and so without closing.
constexpr std::chrono::minutes kForgottenWriter{5};

// File systems whose other writers the kernel does not hear of.
bool is_remote(int root) {
  struct statfs info = {};
  if (fstatfs(root, &info) != 0) return false;
  constexpr std::int64_t kRemote[] = {0x6969 /* NFS */,      0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
                                      0x65735546 /* FUSE */, 0x01021997 /* 9P */,   0x00c36400 /* Ceph */};
  const auto type = static_cast<std::int64_t>(static_cast<std::uint32_t>(info.f_type));
  return std::find(std::begin(kRemote), std::end(kRemote), type) != std::end(kRemote);
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

}  // namespace

Watcher::Watcher(sdk::StoreHost& host, WatcherOptions options, const NameFilter& filter)
    : host_(host),
      options_(std::move(options)),
      filter_(filter),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throw sdk::Failure(OTAGATE_INTERNAL, "no eventfd: " + std::generic_category().message(errno));
  thread_ = std::thread([this] { host_.guarded([this] { run(); }); });
}

Watcher::~Watcher() {
  stopping_ = true;
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

std::optional<milliseconds> Watcher::being_written(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = written_.find(key);
  if (found == written_.end()) return std::nullopt;
  const auto left = std::chrono::ceil<milliseconds>(found->second + kForgottenWriter - Clock::now());
  if (left <= milliseconds(0)) return std::nullopt;
  return left;
}

void Watcher::catch_up() {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++asked_;
  eventfd_write(wake_.get(), 1);
  taken_in_.wait_for(lock, std::chrono::seconds(1), [&] { return caught_up_ >= mine; });
}

void Watcher::expect(const std::string& key, milliseconds delay) {
  const std::scoped_lock lock(mutex_);
  const std::string& subject = due_.size() < kMaxTracked || due_.contains(key) ? key : std::string();
  due_[subject] = Clock::now() + delay;
  eventfd_write(wake_.get(), 1);
}

void Watcher::run() {
  while (!stopping_) {
    if (!inotify_ && !start_watching()) next_rescan_ = Clock::now() + kRetryRoot;
    pollfd polled[2] = {{wake_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}};
    poll(polled, inotify_ ? 2 : 1, wait_ms());
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
    std::uint64_t answered = 0;
    {
      const std::scoped_lock lock(mutex_);
      answered = asked_;
    }
    if (inotify_) read_events();
    {
      const std::scoped_lock lock(mutex_);
      caught_up_ = answered;
    }
    taken_in_.notify_all();
    say_due();
  }
}

// Until something is due, the next rescan, or for ever.
int Watcher::wait_ms() const {
  Clock::time_point next = next_rescan_;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, when] : due_) next = std::min(next, when);
  }
  if (next == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

bool Watcher::start_watching() {
  try {
    const Fd root = open_root(options_.path);
    inotify_ = Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    everything_ = inotify_ && !is_remote(root.get());
    if (!inotify_) complain_of_limit(errno);
  } catch (const sdk::Failure& failure) {
    if (!waiting_) host_.health(OTAGATE_BUSY, failure.message);
    waiting_ = true;
    return false;
  }
  if (inotify_) add_folders("");
  host_.health(OTAGATE_OK);
  // What happened between the gateway's first listing and now made no event.
  expect("", milliseconds(0));
  waiting_ = false;
  next_rescan_ = everything_ ? Clock::time_point::max() : Clock::now() + options_.rescan;
  return true;
}

void Watcher::stop_watching(const std::string& why) {
  host_.info("directory '" + options_.path + "' is no longer watched: " + why);
  inotify_ = Fd();
  folders_.clear();
  const std::scoped_lock lock(mutex_);
  written_.clear();
  due_.clear();
  due_[""] = Clock::now();
}

void Watcher::add_folders(const std::string& start) {
  const Fd root = [&] {
    try {
      return open_root(options_.path);
    } catch (const sdk::Failure&) {
      return Fd();  // gone meanwhile: IN_DELETE_SELF follows
    }
  }();
  if (!root) return;
  walk_folders(root.get(), start, filter_, [&](const std::string& folder) {
    const int watch = inotify_add_watch(inotify_.get(), join(options_.path, folder).c_str(), kMask);
    if (watch >= 0) {
      folders_[watch] = folder;
      return true;
    }
    if (errno != ENOSPC && errno != ENOMEM) return true;  // gone, or may not be read: no files of it either
    complain_of_limit(errno);
    return false;
  });
}

void Watcher::complain_of_limit(int error) {
  everything_ = false;
  next_rescan_ = std::min(next_rescan_, Clock::now() + options_.rescan);
  if (std::exchange(said_limit_, true)) return;
  host_.event(OTAGATE_LOG_WARN, "watch_limit", options_.path,
              "not every folder can be watched (" + std::generic_category().message(error) +
                  "): looking for changes at intervals; raise fs.inotify.max_user_watches");
}

void Watcher::remove_folders(const std::string& folder) {
  std::erase_if(folders_, [&](const auto& watch) {
    const std::string& path = watch.second;
    if (path != folder && !path.starts_with(folder + "/")) return false;
    inotify_rm_watch(inotify_.get(), watch.first);
    return true;
  });
  const std::scoped_lock lock(mutex_);
  std::erase_if(written_, [&](const auto& entry) { return entry.first.starts_with(folder + "/"); });
}

void Watcher::read_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  while (inotify_) {
    const ssize_t got = read(inotify_.get(), buffer, sizeof buffer);
    if (got <= 0) return;
    for (ssize_t at = 0; at < got && inotify_;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      on_event(event->wd, event->mask, event->len ? event->name : nullptr);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
}

void Watcher::on_event(int descriptor, std::uint32_t mask, const char* name) {
  if (mask & IN_Q_OVERFLOW) {
    {
      // Who closed what is not known any more; a file that is still written to has a young mtime.
      const std::scoped_lock lock(mutex_);
      written_.clear();
    }
    add_folders("");
    expect("", options_.settle);
    return;
  }
  const auto found = folders_.find(descriptor);
  if (found == folders_.end()) return;
  const std::string folder = found->second;
  if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
    if (folder.empty()) return stop_watching("it was moved, deleted or unmounted");
    if (mask & IN_IGNORED) folders_.erase(found);
    return;
  }
  if (!name || filter_.skips(name)) return;
  const std::string key = join(folder, name);
  if (!(mask & IN_ISDIR)) return on_file(mask, key);
  if (mask & (IN_MOVED_FROM | IN_DELETE)) remove_folders(key);
  if (mask & (IN_MOVED_TO | IN_CREATE)) add_folders(key);
  // What lay in it before the watch did made no event of its own.
  expect(key, mask & (IN_MOVED_TO | IN_CREATE) ? options_.settle : kGone);
}

void Watcher::on_file(std::uint32_t mask, const std::string& key) {
  if (mask & IN_MODIFY) {
    const std::scoped_lock lock(mutex_);
    if (written_.size() < kMaxTracked || written_.contains(key)) written_[key] = Clock::now();
    return;
  }
  if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) {
    const std::scoped_lock lock(mutex_);
    written_.erase(key);
  }
  expect(key, mask & (IN_MOVED_FROM | IN_DELETE) ? kGone : options_.settle);
}

void Watcher::say_due() {
  const Clock::time_point now = Clock::now();
  std::vector<std::string> keys;
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(due_, [&](const auto& entry) {
      if (entry.second > now) return false;
      keys.push_back(entry.first);
      return true;
    });
  }
  if (inotify_ && now >= next_rescan_) {
    next_rescan_ = now + options_.rescan;
    keys.assign(1, "");
    add_folders("");
  }
  if (keys.size() > kMaxHints) keys.assign(1, "");
  for (const std::string& key : keys) host_.changed(key);
}

}  // namespace otagate::directory

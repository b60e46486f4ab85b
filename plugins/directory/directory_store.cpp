#include "directory/directory_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <vector>

#include "directory/publish.hpp"

namespace otagate::directory {
namespace {

using sdk::Failure;
using std::chrono::milliseconds;

constexpr std::size_t kChunk = OTAGATE_MESSAGE_MAX;
// A page ends early when hashing took so long: the gateway waits for each page with a deadline.
constexpr std::chrono::seconds kPageTime{2};
constexpr std::size_t kMaxComplaints = 1000;

std::string absolute_path(const sdk::StoreHost& host) {
  std::string path = host.option("path").string();
  if (!path.starts_with('/')) {
    throw Failure(OTAGATE_INVALID,
                  "option 'path' must be an absolute path such as /srv/firmware, not '" + path + "'");
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::vector<std::string> ignored(const sdk::StoreHost& host) {
  if (!host.option("ignore").exists()) return {"*.tmp", "*.part", "*~"};
  return host.option("ignore").strings();
}

std::int64_t now_ns() {
  // The clock that file systems stamp with, not the gateway's: only differences to stamps count.
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t modified_ns(const struct stat& info) {
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

DirectoryStore::DirectoryStore(sdk::StoreHost& host)
    : host_(host),
      path_(absolute_path(host)),
      settle_(host.option("settle").integer(500)),
      hash_(host.option("hash").boolean(true)),
      hash_max_(static_cast<std::uint64_t>(host.option("hash_max").integer(256 << 20))),
      publish_(host.option("publish").boolean(false)),
      filter_(ignored(host)),
      watcher_(host, {path_, settle_, milliseconds(host.option("rescan").integer(10'000))}, filter_) {}

sdk::Caps DirectoryStore::caps() {
  const std::uint32_t publish = publish_ ? OTAGATE_STORE_PUBLISH : 0;
  return {
      OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_NOTIFIES | OTAGATE_STORE_LOCAL | publish,
      0, 2};
}

sdk::Object DirectoryStore::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this folder may not be written to; set 'publish' to true");
  const Fd root = open_root(path_);
  return publish_file(root.get(), request.key.empty() ? key_for(request) : std::string(request.key), filter_,
                      request, [&] { return call.stopped(); });
}

// Anything younger than `settle` may be half of something; so may what is open for writing.
bool DirectoryStore::at_rest(const File& file) {
  if (const auto left = watcher_.being_written(file.key)) {
    watcher_.expect(file.key, *left);
    return false;
  }
  const std::int64_t age_ns = now_ns() - modified_ns(file.info);
  const std::int64_t settle_ns = settle_.count() * 1'000'000;
  // A stamp of the future says nothing: clocks are set back.
  if (age_ns >= settle_ns || age_ns < 0) return true;
  watcher_.expect(file.key, milliseconds((settle_ns - age_ns) / 1'000'000 + 1));
  return false;
}

// "" when it is not wanted, cannot be read, or the file changed meanwhile.
std::string DirectoryStore::digest(int root, const File& file, sdk::Call& call) {
  if (!hash_ || static_cast<std::uint64_t>(file.info.st_size) > hash_max_) return {};
  const std::string token = change_token(file.info);
  std::string sha256 = digests_.find(file.key, token);
  if (!sha256.empty()) return sha256;
  try {
    struct stat before = {};
    struct stat after = {};
    const Fd fd = open_beneath(root, file.key, &before);
    sha256 = file_sha256(fd.get(), [&] { return call.stopped(); });
    if (fstat(fd.get(), &after) != 0 || change_token(before) != token || change_token(after) != token)
      return {};
  } catch (const Failure& failure) {
    complain(file.key, failure.message);
    return {};
  }
  if (!sha256.empty()) digests_.remember(file.key, token, sha256);
  return sha256;
}

void DirectoryStore::complain(const std::string& folder, const std::string& why) {
  {
    const std::scoped_lock lock(mutex_);
    if (complained_.size() >= kMaxComplaints || !complained_.insert(folder).second) return;
  }
  host_.warn("'" + folder + "' of directory '" + path_ + "' is left out: " + why);
}

void DirectoryStore::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  const Fd root = open_root(path_);
  if (request.cursor.empty()) digests_.begin_run();
  watcher_.catch_up();
  const auto started = std::chrono::steady_clock::now();
  std::uint32_t count = 0;
  const auto visit = [&](File file) {
    // An empty file is somebody's beginning, not firmware.
    if (file.info.st_size == 0 || !at_rest(file)) return !sink.stopped();
    sdk::Object object;
    object.change_token = change_token(file.info);
    object.sha256 = digest(root.get(), file, sink);
    object.size = static_cast<std::uint64_t>(file.info.st_size);
    object.modified_ms = modified_ns(file.info) / 1'000'000;
    object.key = std::move(file.key);
    if (!sink.object(object)) return false;
    if (++count < request.limit && std::chrono::steady_clock::now() - started < kPageTime) return true;
    sink.next(object.key);
    return false;
  };
  walk(root.get(), request.cursor, filter_, visit,
       [&](const std::string& folder, const std::string& why) { complain(folder, why); });
}

void DirectoryStore::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  const Fd root = open_root(path_);
  struct stat info = {};
  const Fd file = open_beneath(root.get(), request.key, &info);
  const std::string token = change_token(info);
  const auto changed = [&] {
    return Failure(OTAGATE_CHANGED, "'" + std::string(request.key) + "' has changed since it was listed");
  };
  if (!request.change_token.empty() && request.change_token != token) throw changed();
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (!sink.begin(size, token) || request.offset >= size) return;
  std::uint64_t left = size - request.offset;
  if (request.length > 0) left = std::min(left, request.length);
  std::uint64_t offset = request.offset;
  std::vector<char> buffer(std::min<std::uint64_t>(left, kChunk));
  while (left > 0) {
    const ssize_t got = pread(file.get(), buffer.data(), std::min<std::uint64_t>(left, buffer.size()),
                              static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Failure(OTAGATE_TRANSIENT,
                    "reading '" + std::string(request.key) + "': " + std::generic_category().message(errno));
    }
    // Looked at after each read and before its bytes are handed on, so that none of a newer file pass.
    if (got == 0 || fstat(file.get(), &info) != 0 || change_token(info) != token) throw changed();
    if (!sink.write(buffer.data(), static_cast<std::size_t>(got))) return;
    offset += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
  }
}

}  // namespace otagate::directory

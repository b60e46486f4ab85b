// What the tests of daemon/cache share: a folder, a store whose every byte is counted, a host that records.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/cache.hpp"

namespace otagate::cache {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

// Counts scale with OTAGATE_TEST_SCALE; 0.1 unless it says otherwise.
inline int scaled(int count) {
  const char* text = std::getenv("OTAGATE_TEST_SCALE");
  const double scale = text != nullptr ? std::atof(text) : 0.1;
  return std::max(1, static_cast<int>(count * scale));
}

inline Bytes make_bytes(std::size_t size, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

inline Digest digest_of(const Bytes& bytes) { return Sha256::of(std::span<const std::byte>(bytes)); }

class TempDir {
 public:
  TempDir() {
    // In memory unless TMPDIR says otherwise: on a busy disk each sync may take seconds.
    const bool memory = std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string name = parent / "otagate-cache-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A store with one object. Each fetch runs in a thread of its own, as a plugin's would.
class FakeStore {
 public:
  struct Request {
    std::uint64_t offset;
    std::uint64_t length;
    std::uint64_t sent;
    bool overlapped = false;  // asked for while another one was still running
  };

  explicit FakeStore(Bytes content) : content_(std::move(content)) {}
  ~FakeStore() {
    open_gate();
    for (std::thread& thread : take_threads()) thread.join();
  }

  // Before use.
  bool size_known = true;
  bool ranges = true;
  std::uint32_t parallel = 2;
  std::string token = "v1";
  std::size_t piece = 16 * 1024;
  std::uint64_t bytes_per_second = 0;          // of all fetches together; 0: no limit
  std::chrono::milliseconds latency{0};        // before the first byte
  std::function<void(std::uint64_t)> on_sent;  // total so far, before the sink gets the piece

  // Any time. Bytes from `position` on are held back until the gate opens.
  void close_gate_at(std::uint64_t position) {
    const std::scoped_lock lock(mutex_);
    gate_ = position;
    changed_.notify_all();
  }
  void open_gate() { close_gate_at(kUnknownSize); }
  void set_content(Bytes content, std::string new_token) {
    const std::scoped_lock lock(mutex_);
    content_ = std::move(content);
    token = std::move(new_token);
  }
  void flip(std::size_t at) {
    const std::scoped_lock lock(mutex_);
    content_[at] ^= std::byte{1};
  }
  // The next `times` fetches fail after `after` bytes.
  void fail_next(int times, std::uint64_t after, Error error) {
    const std::scoped_lock lock(mutex_);
    failures_ = times;
    fail_after_ = after;
    failure_ = std::move(error);
  }
  std::vector<Request> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  std::uint64_t sent() const {
    std::uint64_t total = 0;
    for (const Request& request : requests()) total += request.sent;
    return total;
  }
  // True once that many fetches have been asked for.
  bool wait_for_requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return requests_.size() >= count; });
  }

  Source::Caps caps() const {
    return {size_known ? std::optional<std::uint64_t>(content_.size()) : std::nullopt, ranges, 0, parallel};
  }

  FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                std::function<void(Result<void>)> done) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back({offset, length, 0, running_ > 0});
    ++running_;
    changed_.notify_all();
    const std::size_t number = requests_.size() - 1;
    threads_.emplace_back(
        [this, number, offset, length, sink, done] { done(run(number, offset, length, *sink)); });
    return number + 1;
  }
  void cancel(FetchId id) {
    const std::scoped_lock lock(mutex_);
    cancelled_.insert({id, true});
    changed_.notify_all();
  }

 private:
  std::vector<std::thread> take_threads() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(threads_, {});
  }

  Result<void> run(std::size_t number, std::uint64_t offset, std::uint64_t length, Sink& sink) {
    if (latency.count() > 0) std::this_thread::sleep_for(latency);
    ObjectInfo info;
    std::uint64_t end = 0;
    std::uint64_t fail_at = kUnknownSize;
    Error error(Code::ok, "");
    {
      const std::scoped_lock lock(mutex_);
      if (size_known) info.total_size = content_.size();
      info.change_token = token;
      end = length == 0 ? content_.size() : offset + length;
      if (failures_ > 0) {
        --failures_;
        fail_at = offset + fail_after_;
        error = failure_;
      }
    }
    if (sink.begin(info) == SinkVerdict::stop) return fail(Code::cancelled, "stopped by the sink");
    for (std::uint64_t at = offset; at < end;) {
      Bytes bytes;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return at < gate_ || cancelled_.contains(number + 1); });
        if (cancelled_.contains(number + 1)) return fail(Code::cancelled, "cancelled");
        if (at >= fail_at) return fail(error);
        const std::uint64_t stop =
            std::min({end, gate_, fail_at, at + piece, std::uint64_t{content_.size()}});
        if (stop <= at) return {};
        bytes.assign(content_.begin() + static_cast<std::ptrdiff_t>(at),
                     content_.begin() + static_cast<std::ptrdiff_t>(stop));
        requests_[number].sent += bytes.size();
        sent_ += bytes.size();
        if (on_sent) on_sent(sent_);
        if (bytes_per_second != 0) {
          const auto now = std::chrono::steady_clock::now();
          free_at_ = std::max(free_at_, now) +
                     std::chrono::nanoseconds(bytes.size() * 1'000'000'000 / bytes_per_second);
        }
      }
      if (bytes_per_second != 0) {
        std::unique_lock lock(mutex_);
        const auto until = free_at_;
        changed_.wait_until(lock, until, [&] { return cancelled_.contains(number + 1); });
      }
      if (sink.write(bytes) == SinkVerdict::stop) return fail(Code::cancelled, "stopped by the sink");
      at += bytes.size();
    }
    if (fail_at <= end) return fail(error);
    return {};
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Bytes content_;
  std::uint64_t gate_ = kUnknownSize;
  std::vector<Request> requests_;
  std::map<FetchId, bool> cancelled_;
  std::vector<std::thread> threads_;
  std::uint64_t sent_ = 0;
  int running_ = 0;
  std::chrono::steady_clock::time_point free_at_{};
  int failures_ = 0;
  std::uint64_t fail_after_ = 0;
  Error failure_{Code::ok, ""};
};

class FakeSource : public Source {
 public:
  explicit FakeSource(FakeStore& store) : store_(store) {}
  Caps caps() const override { return store_.caps(); }
  FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                std::function<void(Result<void>)> done) override {
    return store_.fetch(offset, length, std::move(sink), std::move(done));
  }
  void cancel(FetchId id) override { store_.cancel(id); }

 private:
  FakeStore& store_;
};

// Requested ranges do not overlap and cover [0, size) exactly.
inline void expect_each_byte_once(const FakeStore& store, std::uint64_t size) {
  auto requests = store.requests();
  std::ranges::sort(requests, {}, &FakeStore::Request::offset);
  std::uint64_t at = 0;
  for (const auto& request : requests) {
    EXPECT_EQ(request.offset, at) << "asked for twice, or not at all";
    at = request.offset + request.length;
  }
  EXPECT_EQ(at, size);
}

class RecordingHost : public Journal, public EventSink, public EvictionGate {
 public:
  void fill_started(const FillKey&, std::string_view id, std::uint64_t) override {
    note("started " + std::string(id));
  }
  void fill_ended(const FillKey&, std::string_view, Code code, std::string_view) override {
    note("ended " + std::string(to_string(code)));
  }
  void blob_added(const BlobRecord& blob, const std::optional<FillKey>&, Done done) override {
    if (on_added) on_added();
    {
      const std::scoped_lock lock(mutex_);
      records_[blob.digest] = blob;
    }
    note("added " + blob.digest.hex().substr(0, 8));
    done(answer());
  }
  void blob_removed(const Digest& digest, std::string_view, Done done) override {
    note("removed " + digest.hex().substr(0, 8));
    Result<void> result = answer();
    if (on_removed) on_removed(digest);
    if (result) {
      const std::scoped_lock lock(mutex_);
      records_.erase(digest);
    }
    done(std::move(result));
  }
  void blob_verified(const BlobRecord& blob) override {
    const std::scoped_lock lock(mutex_);
    records_[blob.digest] = blob;
  }
  void blob_quarantined(const Digest& digest, std::string_view) override {
    const std::scoped_lock lock(mutex_);
    records_.erase(digest);
  }
  void blobs_used(std::span<const BlobRecord> blobs) override {
    const std::scoped_lock lock(mutex_);
    for (const BlobRecord& blob : blobs)
      if (records_.contains(blob.digest)) records_[blob.digest] = blob;
  }
  void event(const Event& event) override {
    const std::scoped_lock lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  bool may_expire(const Digest&) override { return store_listed; }

  std::vector<BlobRecord> records() const {
    const std::scoped_lock lock(mutex_);
    std::vector<BlobRecord> all;
    for (const auto& [digest, record] : records_) all.push_back(record);
    return all;
  }
  std::vector<std::string> notes() const {
    const std::scoped_lock lock(mutex_);
    return notes_;
  }
  std::size_t count(Event::Kind kind) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(events_, [kind](const Event& event) { return event.kind == kind; }));
  }
  bool wait_for(Event::Kind kind, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] {
      return static_cast<std::size_t>(std::ranges::count_if(
                 events_, [kind](const Event& event) { return event.kind == kind; })) >= times;
    });
  }
  std::optional<Event> last(Event::Kind kind) const {
    const std::scoped_lock lock(mutex_);
    for (auto at = events_.rbegin(); at != events_.rend(); ++at)
      if (at->kind == kind) return *at;
    return std::nullopt;
  }

  std::atomic<bool> store_listed{true};
  std::atomic<bool> broken{false};
  std::function<void()> on_added;                 // before use
  std::function<void(const Digest&)> on_removed;  // before use

 private:
  Result<void> answer() const {
    if (broken) return fail(Code::no_space, "database or disk is full");
    return {};
  }
  void note(std::string text) {
    const std::scoped_lock lock(mutex_);
    notes_.push_back(std::move(text));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Digest, BlobRecord> records_;
  std::vector<std::string> notes_;
  std::vector<Event> events_;
};

inline FillKey key_of(const FakeStore& store, const std::optional<Digest>& expected = {},
                      std::string object = "fw.bin") {
  return {"store", std::move(object), store.token, expected};
}

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() {
    options.root = dir.path() / "cache";
    options.retry = {5ms, 40ms, 6};
    options.environment.space = [this](const std::filesystem::path&) -> Result<Environment::Space> {
      return Environment::Space{10ull << 30, free_space.load()};
    };
    options.environment.boot_id = "boot-1";
  }
  ~CacheTest() override { cache.reset(); }

  void start() {
    options.known = host.records();
    auto created = Cache::create(options, {&host, &host, &host});
    ASSERT_TRUE(created) << created.error().message();
    cache = std::move(*created);
  }
  void stop() { cache.reset(); }
  void restart() {
    stop();
    start();
  }
  // As after kill -9: what was cached must be hashed before its tail leaves.
  void restart_uncleanly() {
    stop();
    std::ofstream(options.root / "running");
    start();
  }

  OpenRequest request(FakeStore& store, const std::optional<Digest>& expected = {},
                      const std::string& object = "fw.bin") {
    OpenRequest wish;
    wish.key = key_of(store, expected, object);
    wish.source = [&store] { return std::make_shared<FakeSource>(store); };
    return wish;
  }
  std::future<Result<ReaderPtr>> open_later(OpenRequest wish) {
    auto promise = std::make_shared<std::promise<Result<ReaderPtr>>>();
    auto future = promise->get_future();
    cache->open(std::move(wish),
                [promise](Result<ReaderPtr> reader) { promise->set_value(std::move(reader)); });
    return future;
  }
  Result<ReaderPtr> open(OpenRequest wish) {
    auto future = open_later(std::move(wish));
    if (future.wait_for(20s) != std::future_status::ready)
      return fail(Code::deadline, "open() never answered");
    return future.get();
  }
  ReaderPtr must_open(OpenRequest wish) {
    auto reader = open(std::move(wish));
    EXPECT_TRUE(reader) << reader.error().message();
    return reader ? *reader : nullptr;
  }
  // Waits for a verified copy and returns its reader.
  Result<ReaderPtr> fetch(FakeStore& store, const std::optional<Digest>& expected = {},
                          const std::string& object = "fw.bin") {
    auto wish = request(store, expected, object);
    wish.streaming = false;
    return open(std::move(wish));
  }
  static std::future<Result<std::uint64_t>> want_later(const ReaderPtr& reader, std::uint64_t offset,
                                                       std::uint64_t length,
                                                       std::chrono::milliseconds timeout = 0ms) {
    auto promise = std::make_shared<std::promise<Result<std::uint64_t>>>();
    auto future = promise->get_future();
    reader->want(offset, length, length, timeout,
                 [promise](Result<std::uint64_t> ready) { promise->set_value(std::move(ready)); });
    return future;
  }
  static Result<std::uint64_t> want(const ReaderPtr& reader, std::uint64_t offset, std::uint64_t length,
                                    std::chrono::milliseconds timeout = 0ms) {
    auto future = want_later(reader, offset, length, timeout);
    if (future.wait_for(20s) != std::future_status::ready)
      return fail(Code::internal, "want() never answered");
    return future.get();
  }
  static Bytes pread_bytes(int fd, std::uint64_t offset, std::size_t length) {
    Bytes out(length);
    const ssize_t got = ::pread(fd, out.data(), length, static_cast<off_t>(offset));
    out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return out;
  }
  // Reads like a transport: as far as it is ready, then waits. Empty on failure.
  static Result<Bytes> read_all(const ReaderPtr& reader) {
    Bytes all;
    for (;;) {
      const auto size = reader->size();
      if (size && all.size() >= *size && reader->state() == PageState::verified) return all;
      const auto ready = want(reader, all.size(), 1);
      if (!ready) return fail(ready.error());
      if (*ready == 0) return all;
      const Bytes piece = pread_bytes(reader->fd(), all.size(),
                                      static_cast<std::size_t>(std::min<std::uint64_t>(*ready, 1 << 20)));
      if (piece.empty()) return fail(Code::internal, "nothing to read where something was ready");
      all.insert(all.end(), piece.begin(), piece.end());
    }
  }
  // What a transport delivers; nothing if it had to give up.
  static Bytes contents(const ReaderPtr& reader) {
    const Result<Bytes> all = reader ? read_all(reader) : Result<Bytes>(fail(Code::internal, "no reader"));
    EXPECT_TRUE(all) << all.error().message();
    return all ? *all : Bytes{};
  }
  static Bytes contents(const Result<ReaderPtr>& reader) { return contents(reader ? *reader : nullptr); }
  std::filesystem::path blob_path(const Digest& digest) const {
    const std::string hex = digest.hex();
    return options.root / "blobs" / "sha256" / hex.substr(0, 2) / hex;
  }
  std::filesystem::path part_path(const FillKey& key) const {
    return options.root / "fills" / (key.id() + ".part");
  }
  static void flip_in_file(const std::filesystem::path& path, std::uint64_t at) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0) << path;
    char byte = 0;
    ASSERT_EQ(::pread(fd, &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(::pwrite(fd, &byte, 1, static_cast<off_t>(at)), 1);
    ::close(fd);
  }
  template <class Condition>
  static bool eventually(const Condition& condition, std::chrono::milliseconds limit = 10s) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }
  Result<void> done_of(const std::function<void(Cache::DoneCallback)>& call) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    auto future = promise->get_future();
    call([promise](Result<void> result) { promise->set_value(std::move(result)); });
    if (future.wait_for(20s) != std::future_status::ready) return fail(Code::internal, "never completed");
    return future.get();
  }

  TempDir dir;
  std::atomic<std::uint64_t> free_space{8ull << 30};
  RecordingHost host;
  Cache::Options options;
  std::unique_ptr<Cache> cache;
};

// Holds every verification up until told to go on.
class GateVerifier : public Verifier {
 public:
  Result<VerifyLevel> verify(const FillKey&, const Digest&, VerifyLevel reached,
                             const BlobView& bytes) override {
    entered.set_value();
    go_on.get_future().wait();
    Bytes all(static_cast<std::size_t>(bytes.size()));
    const auto got = bytes.read_at(0, all);
    if (got) all.resize(*got);
    seen = std::move(all);
    if (refuse) return fail(Code::rejected, "the signature is wrong");
    return std::max(reached, VerifyLevel::signature);
  }
  std::promise<void> entered;
  std::promise<void> go_on;
  bool refuse = false;
  Bytes seen;
};

}  // namespace otagate::cache

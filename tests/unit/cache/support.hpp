// What the tests of daemon/cache share: a cache over a folder, and what is done with it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "bytes.hpp"
#include "cache/cache.hpp"
#include "fake_store.hpp"
#include "recording_host.hpp"

namespace otagate::cache {

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

class FillTest : public CacheTest {};

}  // namespace otagate::cache

// Fills that end in the middle: killed, powered off, damaged on disk, and how they go on.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cache/fill_file.hpp"
#include "cache/fill_map.hpp"
#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;
// What a killed process may have to ask for again: on two connections, a chunk and the held tail each.
constexpr std::uint64_t kLostByAKill = 2 * (kChunkSize + kTailSize);

class ResumeTest : public CacheTest {
 protected:
  // Counted by a child, read by its parent.
  struct Shared {
    std::atomic<std::uint64_t> sent;
    std::atomic<bool> done;
  };
  ResumeTest() {
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    shared = new (memory) Shared{};
  }
  ~ResumeTest() override { ::munmap(shared, sizeof(Shared)); }

  // A process that fills the object, reads it as it comes and says whether it was right. Forked while no
  // other thread runs. 0: all delivered and right, 1: no, 2: wrong bytes.
  pid_t fill_in_child(const Bytes& content, std::uint64_t bytes_per_second, unsigned seed) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fill(content, bytes_per_second, seed));
    return child;
  }
  int fill(const Bytes& content, std::uint64_t bytes_per_second, unsigned seed) {
    FakeStore store(content);
    store.bytes_per_second = bytes_per_second;
    store.on_sent = [this, last = std::uint64_t{0}](std::uint64_t total) mutable {
      shared->sent += total - last;
      last = total;
    };
    auto created = Cache::create(options, {&host, &host, &host});
    if (!created) return 1;
    cache = std::move(*created);
    const auto reader = open(request(store, digest_of(content)));
    if (!reader) return 1;
    std::mt19937 random(seed);
    for (int i = 0; i < 4; ++i)
      (*reader)->want(random() % content.size(), 1, 100, 0ms, [](const Result<std::uint64_t>&) {});
    const auto all = read_all(*reader);
    if (!all) return 1;
    if (*all != content) return 2;
    shared->done = true;
    stop();
    return 0;
  }

  Shared* shared;
};

TEST_F(ResumeTest, KilledAtAnyPointItLosesLittleAndNothingIsWrong) {
  std::mt19937 random(std::random_device{}());
  const int most = scaled(200);
  int kills = 0;
  for (unsigned round = 0; kills < most; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const Bytes content = make_bytes(2 * kMiB + 999 * round, 100 + round);
    shared->sent = 0;
    shared->done = false;
    int kills_of_round = 0;
    for (;;) {
      const pid_t child = fill_in_child(content, 8 * kMiB, random());
      ASSERT_GT(child, 0);
      // After a random amount of bytes, or not at all once it is nearly through.
      const std::uint64_t target = shared->sent + random() % (kMiB / 2);
      int status = 0;
      pid_t ended = 0;
      while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 && shared->sent < target)
        std::this_thread::sleep_for(1ms);
      if (ended == 0) {
        ::kill(child, SIGKILL);
        ASSERT_EQ(::waitpid(child, &status, 0), child);
      }
      if (WIFEXITED(status)) {
        ASSERT_EQ(WEXITSTATUS(status), 0) << "1: not delivered, 2: wrong bytes";
        break;
      }
      ++kills_of_round;
    }
    kills += kills_of_round;
    EXPECT_LE(shared->sent, content.size() + static_cast<std::uint64_t>(kills_of_round) * kLostByAKill)
        << kills_of_round << " kills";
    // Whole and in place: the next process fetches nothing.
    const std::uint64_t before = shared->sent;
    const pid_t child = fill_in_child(content, 0, 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(shared->sent, before);
  }
}

TEST_F(ResumeTest, AfterARebootOnlyWhatWasSyncedCounts) {
  const Bytes content = make_bytes(24 * kMiB, 3);
  pid_t child = fill_in_child(content, 20 * kMiB, 1);
  // Between two syncs, which come every 4 MiB.
  while (shared->sent < 21 * kMiB) ASSERT_EQ(::waitpid(child, nullptr, WNOHANG), 0);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const std::uint64_t before = shared->sent;
  options.environment.boot_id = "boot-2";
  child = fill_in_child(content, 0, 2);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const std::uint64_t again = shared->sent - (content.size() - before) - before;
  EXPECT_GT(shared->sent - before, content.size() - before) << "the live map of another boot is not believed";
  EXPECT_LE(again, FillFile::kMaxUnsynced + kLostByAKill);
}

// Without a digest from the store nothing but the journal knows whose bytes a blob is.
class KilledBeforeTheJournal : public ResumeTest {
 protected:
  // What a power cut leaves of a file that was not synced: its header as it was before the seal.
  void unseal_live_map() const {
    for (const auto& entry : std::filesystem::directory_iterator(options.root / "fills")) {
      if (entry.path().extension() != ".map") continue;
      Bytes block(FillMap::kHeaderBytes);
      const int fd = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
      ASSERT_EQ(::pread(fd, block.data(), block.size(), 0), static_cast<ssize_t>(block.size()));
      auto header = FillMap::decode(block);
      ASSERT_TRUE(header && header->sealed);
      header->sealed.reset();
      const auto before = FillMap::encode(*header);
      ASSERT_TRUE(before);
      ASSERT_EQ(::pwrite(fd, before->data(), before->size(), 0), static_cast<ssize_t>(before->size()));
      ::close(fd);
    }
  }
  // What is sent to fill `content` once more, after a kill between storing the blob and writing it down.
  std::uint64_t sent_again(const Bytes& content, const std::string& boot_id, bool reconciled) {
    const pid_t child = ::fork();
    if (child == 0) {
      host.on_added = [] { ::raise(SIGKILL); };
      FakeStore store(content);
      auto created = Cache::create(options, {&host, &host, &host});
      if (created) cache = std::move(*created);
      if (created) (void)fetch(store);
      ::_exit(1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    EXPECT_TRUE(std::filesystem::exists(blob_path(digest_of(content))));
    if (boot_id != options.environment.boot_id) unseal_live_map();
    options.environment.boot_id = boot_id;
    start();
    if (reconciled) {
      EXPECT_TRUE(done_of([&](Cache::DoneCallback done) { cache->reconcile(std::move(done)); }));
    }
    FakeStore store(content);
    EXPECT_EQ(contents(fetch(store)), content);
    EXPECT_EQ(host.records().size(), 1U);
    EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(options.root / "fills"); }));
    return store.sent();
  }
};

TEST_F(KilledBeforeTheJournal, ItsBlobCostsTheTail) {
  EXPECT_LE(sent_again(make_bytes(3 * kMiB, 3), "boot-1", false), kTailSize);
}

TEST_F(KilledBeforeTheJournal, ItsBlobCostsTheTailAfterReconcileToo) {
  EXPECT_LE(sent_again(make_bytes(3 * kMiB, 3), "boot-1", true), kTailSize);
}

TEST_F(KilledBeforeTheJournal, APowerCutThenCostsWhatWasNotSynced) {
  EXPECT_LE(sent_again(make_bytes(24 * kMiB, 3), "boot-2", false), FillFile::kMaxUnsynced + kTailSize);
}

TEST_F(ResumeTest, ACleanStopLosesNothingButTheHeldBytes) {
  const Bytes content = make_bytes(3 * kMiB, 4);
  FakeStore store(content);
  store.close_gate_at(2 * kMiB + 1000);
  start();
  const auto reader = must_open(request(store));
  ASSERT_TRUE(want(reader, 0, 2 * kMiB + 1000));
  options.environment.boot_id = "boot-2";  // and a reboot
  restart();
  store.open_gate();
  const std::uint64_t before = store.sent();
  EXPECT_EQ(contents(open(request(store))), content);
  EXPECT_LE(store.sent() - before, content.size() - 2 * kMiB);
}

TEST_F(ResumeTest, WhatIsThereIsReadableBeforeTheUplinkIsBack) {
  const Bytes content = make_bytes(kMiB, 5);
  FakeStore store(content);
  store.close_gate_at(500'000);
  start();
  ASSERT_TRUE(want(must_open(request(store)), 0, 500'000));
  restart();
  store.fail_next(1000, 0, Error(Code::transient, "no route to host"));
  options.retry.attempts = 1000;
  const auto reader = must_open(request(store));
  EXPECT_TRUE(want(reader, 0, 400'000));
  store.fail_next(0, 0, Error(Code::ok, ""));
  store.open_gate();
  EXPECT_EQ(contents(reader), content);
}

TEST_F(ResumeTest, AFlippedByteInThePartCostsItsChunk) {
  const Bytes content = make_bytes(2 * kMiB, 6);
  FakeStore store(content);
  store.close_gate_at(kMiB);
  start();
  const auto wish = request(store, digest_of(content));
  ASSERT_TRUE(want(must_open(wish), 0, kMiB));
  stop();
  flip_in_file(part_path(wish.key), 300'000);
  start();
  store.open_gate();
  const std::uint64_t before = store.sent();
  EXPECT_EQ(contents(open(wish)), content);
  EXPECT_EQ(store.sent() - before, kMiB + kChunkSize);
}

TEST_F(ResumeTest, ATruncatedOrMissingFileOfAFillIsMadeGood) {
  std::uint64_t seed = 70;
  for (const char* extension : {".part", ".map", ".sync"})
    for (const bool remove : {true, false}) {
      const Bytes content = make_bytes(kMiB, ++seed);
      FakeStore store(content);
      store.close_gate_at(600'000);
      if (!cache) start();
      const auto wish = request(store, digest_of(content), extension);
      ASSERT_TRUE(want(must_open(wish), 0, 600'000));
      stop();
      const auto path = options.root / "fills" / (wish.key.id() + extension);
      if (remove)
        std::filesystem::remove(path);
      else
        std::filesystem::resize_file(path, 70'000);  // the maps grow by that, with nothing
      start();
      store.open_gate();
      EXPECT_EQ(contents(open(wish)), content) << extension;
    }
}

// The hash has passed a chunk already when its bytes change in the file.
TEST_F(ResumeTest, AByteFlippedBehindTheHashIsFoundAndItsReadersAreCut) {
  const Bytes content = make_bytes(2 * kMiB, 9);
  FakeStore store(content);
  store.close_gate_at(content.size() - kTailSize - 10);
  start();
  auto wish = request(store, digest_of(content));
  wish.peer = "dev-1";
  const auto reader = must_open(wish);
  ASSERT_TRUE(want(reader, 0, content.size() - kTailSize - 10));
  std::this_thread::sleep_for(100ms);  // lets the hash come close
  flip_in_file(part_path(wish.key), 70'000);
  store.open_gate();
  const auto all = read_all(reader);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code(), Code::rejected);
  EXPECT_TRUE(cache->had_rejected_bytes("dev-1", wish.key));
  EXPECT_EQ(host.count(Event::Kind::chunk_refetched), 1u);
  EXPECT_EQ(contents(open(wish)), content) << "who comes now gets it right";
  EXPECT_EQ(store.sent(), content.size() + kChunkSize) << "only the bad chunk again";
  EXPECT_EQ(host.count(Event::Kind::fill_rejected), 0u);
}

TEST_F(ResumeTest, AFlippedByteAtTheStoreRejectsAndAGoodCopyIsTakenLater) {
  const Bytes content = make_bytes(kMiB, 10);
  FakeStore store(content);
  store.flip(content.size() / 2);
  start();
  const auto bad = fetch(store, digest_of(content));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::rejected);
  store.flip(content.size() / 2);
  EXPECT_EQ(contents(fetch(store, digest_of(content))), content);
}

// Killed between writing the tail and renaming: the tail must not be readable at the next start.
TEST_F(ResumeTest, ATailLeftInThePartIsCutOff) {
  const Bytes content = make_bytes(kMiB, 11);
  FakeStore store(content);
  store.close_gate_at(kMiB - kTailSize);
  start();
  const auto wish = request(store, digest_of(content));
  ASSERT_TRUE(want(must_open(wish), 0, kMiB - kTailSize));
  stop();
  std::ofstream(part_path(wish.key), std::ios::app)
      .write(reinterpret_cast<const char*>(content.data()) + kMiB - kTailSize, kTailSize);
  start();
  const auto reader = must_open(wish);
  EXPECT_EQ(pread_bytes(reader->fd(), 0, kMiB + 1).size(), kMiB - kTailSize);
  store.open_gate();
  EXPECT_EQ(contents(reader), content);
}

}  // namespace
}  // namespace otagate::cache

#include "gateway/relay_queue.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace otagate::gateway {
namespace {

using namespace std::chrono_literals;
using Outcome = RelayQueue::Outcome;
constexpr int kProgress = 0;

config::Retry patience() { return {.attempts = 5, .initial = 1s, .max = 8s}; }

state::OutboxRow row(std::int64_t id, const std::string& subject, int kind = 2) {
  return {.id = id, .destination = "store:s", .subject = subject, .kind = kind, .body = {}, .added_ms = 0};
}

std::int64_t id_of(const std::optional<RelayQueue::Job>& job) {
  return job && std::holds_alternative<state::OutboxRow>(*job) ? std::get<state::OutboxRow>(*job).id : 0;
}

TEST(RelayQueue, OneAssignmentInOrderOthersBesideIt) {
  RelayQueue queue(patience());
  queue.add(row(1, "a", 1), kProgress);
  queue.add(row(2, "a", 2), kProgress);
  queue.add(row(3, "b", 2), kProgress);
  const auto first = queue.next(0ms);
  const auto other = queue.next(0ms);
  EXPECT_EQ(id_of(first), 1);
  EXPECT_EQ(id_of(other), 3);
  EXPECT_FALSE(queue.next(0ms));  // 2 waits for 1
  queue.ended(*first, Outcome::done, 0ms, 0ms);
  EXPECT_EQ(id_of(queue.next(0ms)), 2);
  EXPECT_EQ(queue.feedback(), 2U);
}

TEST(RelayQueue, ProgressIsMergedButNotWhatIsOnItsWay) {
  RelayQueue queue(patience());
  queue.add(row(1, "a", kProgress), kProgress);
  queue.add(row(2, "a", kProgress), kProgress);
  EXPECT_EQ(queue.feedback(), 1U);
  const auto sent = queue.next(0ms);
  EXPECT_EQ(id_of(sent), 2);
  queue.add(row(3, "a", kProgress), kProgress);
  queue.add(row(4, "a", 2), kProgress);
  EXPECT_EQ(queue.feedback(), 2U);  // the one on its way, and the end
  queue.ended(*sent, Outcome::done, 0ms, 0ms);
  EXPECT_EQ(id_of(queue.next(0ms)), 4);
  queue.add(row(4, "a", 2), kProgress);  // known by its number
  EXPECT_EQ(queue.feedback(), 1U);
}

TEST(RelayQueue, BacksOffAsTheStoreIsConfigured) {
  RelayQueue queue(patience());
  queue.add(row(1, "a"), kProgress);
  std::chrono::milliseconds at = 0ms;
  for (const auto wait : {1000ms, 2000ms, 4000ms, 8000ms, 8000ms}) {
    const auto job = queue.next(at);
    ASSERT_TRUE(job);
    queue.ended(*job, Outcome::again, at, 0ms);
    EXPECT_EQ(queue.due(), at + wait);
    EXPECT_FALSE(queue.next(at + wait - 1ms));
    at += wait;
  }
  auto job = queue.next(at);
  queue.ended(*job, Outcome::again, at, 20s);  // what the store asks for, within what is configured
  EXPECT_EQ(queue.due(), at + 8s);
  job = queue.next(at + 8s);
  queue.ended(*job, Outcome::done, at, 0ms);
  EXPECT_EQ(queue.feedback(), 0U);
  EXPECT_FALSE(queue.due());
}

TEST(RelayQueue, WatchesAreSaidAgainOnlyWhenTheyDiffer) {
  RelayQueue queue(patience());
  EXPECT_TRUE(queue.watch("d", {{"version", "1"}}));
  auto job = queue.next(0ms);
  ASSERT_TRUE(job && std::holds_alternative<RelayQueue::Watch>(*job));
  // It changes while the call is open: the store hears of it afterwards.
  EXPECT_TRUE(queue.watch("d", {{"version", "2"}}));
  EXPECT_FALSE(queue.next(0ms));
  queue.ended(*job, Outcome::done, 0ms, 0ms);
  EXPECT_EQ(queue.watched(), 1U);
  job = queue.next(0ms);
  ASSERT_TRUE(job && std::holds_alternative<RelayQueue::Watch>(*job));
  EXPECT_EQ(std::get<RelayQueue::Watch>(*job).attributes.front().second, "2");
  queue.ended(*job, Outcome::done, 0ms, 0ms);
  EXPECT_TRUE(queue.watch("d", {{"version", "2"}}));
  EXPECT_FALSE(queue.next(0ms));
  queue.unwatch("d");
  job = queue.next(0ms);
  ASSERT_TRUE(job && std::holds_alternative<RelayQueue::Unwatch>(*job));
  queue.ended(*job, Outcome::done, 0ms, 0ms);
  EXPECT_EQ(queue.watched(), 0U);
  queue.unwatch("d");
  EXPECT_FALSE(queue.next(0ms));
}

TEST(RelayQueue, WatchesAreBounded) {
  RelayQueue queue(patience());
  for (std::size_t i = 0; i < RelayQueue::kMaxWatched; ++i) ASSERT_TRUE(queue.watch(std::to_string(i), {}));
  EXPECT_FALSE(queue.watch("one more", {}));
  EXPECT_EQ(queue.unsaid_watches(), RelayQueue::kMaxWatched);
}

// Whatever happens in whatever order: for one subject never two at once, in order, and none is lost.
TEST(RelayQueue, LosesNothingAndKeepsTheOrder) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::minstd_rand random(seed + 1);
    RelayQueue queue(patience());
    std::map<std::string, std::int64_t> last;      // delivered, by subject
    std::map<std::string, std::int64_t> last_end;  // of the final ones that were added
    std::vector<RelayQueue::Job> open;
    std::chrono::milliseconds at = 0ms;
    std::int64_t next = 1;
    const auto finish = [&](bool always) {
      const std::size_t which = random() % open.size();
      const auto job = open[which];
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
      const auto outcome = always || random() % 2 == 0 ? Outcome::done : Outcome::again;
      queue.ended(job, outcome, at, 0ms);
      if (outcome != Outcome::done) return;
      const auto& sent = std::get<state::OutboxRow>(job);
      EXPECT_GT(sent.id, last[sent.subject]);
      last[sent.subject] = sent.id;
    };
    for (int i = 0; i < 300; ++i) {
      at += 100ms;
      const std::string subject(1, static_cast<char>('a' + random() % 4));
      switch (random() % 3) {
        case 0: {
          const int kind = static_cast<int>(random() % 4);
          queue.add(row(next, subject, kind), kProgress);
          if (kind != kProgress) last_end[subject] = next;
          ++next;
          break;
        }
        case 1:
          if (auto job = queue.next(at)) {
            for (const auto& other : open)
              EXPECT_NE(std::get<state::OutboxRow>(other).subject, std::get<state::OutboxRow>(*job).subject);
            open.push_back(std::move(*job));
          }
          break;
        default:
          if (!open.empty()) finish(false);
      }
    }
    while (queue.feedback() > 0 || !open.empty()) {
      at += 10s;
      while (auto job = queue.next(at)) open.push_back(std::move(*job));
      ASSERT_FALSE(open.empty());
      finish(true);
    }
    for (const auto& [subject, id] : last_end) EXPECT_GE(last[subject], id) << subject;
  }
}

}  // namespace
}  // namespace otagate::gateway

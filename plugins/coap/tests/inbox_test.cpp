#include "inbox.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <vector>

namespace otagate::coap {
namespace {

using Clock = std::chrono::steady_clock;

bool readable(const Inbox& inbox) {
  pollfd ready{.fd = inbox.fd(), .events = POLLIN, .revents = 0};
  return poll(&ready, 1, 0) == 1;
}

TEST(Inbox, RunsInOrder) {
  Inbox inbox;
  std::vector<int> seen;
  for (int i = 0; i < 3; ++i) inbox.post([&, i] { seen.push_back(i); });
  EXPECT_TRUE(seen.empty());
  inbox.run();
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2}));
}

TEST(Inbox, IsReadableWhileThereIsWork) {
  Inbox inbox;
  EXPECT_FALSE(readable(inbox));
  inbox.post([] {});
  EXPECT_TRUE(readable(inbox));
  inbox.run();
  EXPECT_FALSE(readable(inbox));
  inbox.post([] {});
  EXPECT_TRUE(readable(inbox));
}

TEST(Inbox, KeepsWhatItsOwnWorkPosts) {
  Inbox inbox;
  int runs = 0;
  inbox.post([&] { inbox.post([&] { ++runs; }); });
  inbox.run();
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(readable(inbox));
  inbox.run();
  EXPECT_EQ(runs, 1);
}

TEST(Inbox, WakesWhoeverWaits) {
  Inbox inbox;
  std::thread other([&] { inbox.post([] {}); });
  inbox.wait(Clock::now() + std::chrono::seconds(30));
  EXPECT_TRUE(readable(inbox));
  other.join();
}

TEST(Inbox, LosesNothingFromManyThreads) {
  Inbox inbox;
  int runs = 0;  // on this thread only
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) inbox.post([&] { ++runs; });
    });
  }
  while (runs < 4000) {
    inbox.wait(Clock::now() + std::chrono::seconds(30));
    inbox.run();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(runs, 4000);
}

}  // namespace
}  // namespace otagate::coap

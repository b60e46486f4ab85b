#include "plugin/lanes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "support.hpp"

namespace otagate::plugin {
namespace {

using testing::eventually;

// Holds the threads that enter it until it is opened.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait_inside(unsigned count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return inside_ >= count; });
  }
  unsigned inside() {
    std::lock_guard lock(mutex_);
    return inside_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned inside_ = 0;
  bool open_ = false;
};

TEST(Lanes, FetchesLeaveRoomForOtherCalls) {
  Gate gate;
  std::promise<void> listed;
  Lanes lanes(4, 2, 100);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(lanes.call([&] { gate.pass(); }, true));
  ASSERT_TRUE(gate.wait_inside(2));
  ASSERT_TRUE(lanes.call([&] { listed.set_value(); }, false));
  EXPECT_EQ(listed.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(gate.inside(), 2u);
  gate.open();
  EXPECT_TRUE(gate.wait_inside(4));
}

TEST(Lanes, OneThreadMeansOneByOneInOrder) {
  std::mutex mutex;
  std::vector<int> order;
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  Lanes lanes(1, 1, 100);
  for (int i = 0; i < 20; ++i) {
    lanes.call(
        [&, i] {
          if (++inside > 1) together = true;
          std::lock_guard lock(mutex);
          order.push_back(i);
          --inside;
        },
        i % 2 == 0);
  }
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return order.size() == 20;
  }));
  EXPECT_FALSE(together);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Lanes, ARepliesLaneThatRunsBesideStuckCalls) {
  Gate gate;
  Lanes lanes(1, 1, 100);
  lanes.call([&] { gate.pass(); }, false);
  ASSERT_TRUE(gate.wait_inside(1));
  std::promise<void> replied;
  lanes.reply([&] { replied.set_value(); });
  EXPECT_EQ(replied.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  gate.open();
}

TEST(Lanes, TheQueueIsBounded) {
  Gate gate;
  Lanes lanes(1, 1, 2);
  lanes.call([&] { gate.pass(); }, false);
  ASSERT_TRUE(gate.wait_inside(1));
  EXPECT_TRUE(lanes.call([] {}, false));
  EXPECT_TRUE(lanes.call([] {}, false));
  EXPECT_FALSE(lanes.call([] {}, false));
  gate.open();
}

TEST(Lanes, SomethingStuckDoesNotHoldUpWhatIsQueuedBehindIt) {
  // Two posted while one thread is idle: the second must not wait behind the first.
  Gate gate;
  Lanes lanes(4, 2, 100);
  std::promise<void> warm;
  lanes.call([&] { warm.set_value(); }, false);
  warm.get_future().wait();
  std::promise<void> second;
  lanes.call([&] { gate.pass(); }, false);
  lanes.call([&] { second.set_value(); }, false);
  EXPECT_EQ(second.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  gate.open();
}

TEST(Dispatcher, RunsTasksInOrderAndTimersWhenDue) {
  Dispatcher dispatcher;
  std::mutex mutex;
  std::vector<int> order;
  const auto note = [&](int number) {
    return [&, number] {
      std::lock_guard lock(mutex);
      order.push_back(number);
    };
  };
  dispatcher.after(std::chrono::milliseconds(60), note(4));
  dispatcher.after(std::chrono::milliseconds(30), note(3));
  const TimerId never = dispatcher.after(std::chrono::milliseconds(40), note(99));
  dispatcher.cancel(never);
  dispatcher.post(note(1));
  dispatcher.post(note(2));
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return order.size() == 4;
  }));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  dispatcher.stop();
  dispatcher.post(note(5));
  EXPECT_EQ(order.size(), 4u);
}

}  // namespace
}  // namespace otagate::plugin

#include "plugin/storage_bridge.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "support.hpp"

namespace otagate::plugin {
namespace {

using testing::Answer;
using testing::eventually;
using testing::Listener;
using testing::milliseconds;

constexpr milliseconds kLong{20'000};
constexpr milliseconds kShort{200};

class StorageBridgeTest : public ::testing::Test {
 protected:
  explicit StorageBridgeTest() {
    for (const char* name : {"misbehave", "misbehave-serial", "misbehave-async"})
      testing::install(folder_.path(), name);
    registry_ = std::make_unique<Registry>(testing::settings(folder_.path()), listener_);
    registry_->scan();
  }

  Result<std::shared_ptr<StorageInstance>> try_create(const std::string& mode,
                                                      const std::string& plugin = "misbehave") {
    return registry_->create_store({"store-" + mode, plugin,
                                    std::make_shared<testing::Options>(testing::Options{
                                        {"mode", mode}, {"list.1", "b"}, {"table.key", "v"}})},
                                   listener_);
  }
  std::shared_ptr<StorageInstance> create(const std::string& mode, const std::string& plugin = "misbehave") {
    auto made = try_create(mode, plugin);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : nullptr;
  }
  InstanceStatus status_of(const std::string& name) {
    for (const InstanceStatus& status : registry_->instances())
      if (status.name == name) return status;
    ADD_FAILURE() << "no instance " << name;
    return {};
  }
  void close(const std::shared_ptr<StorageInstance>& store, milliseconds grace = milliseconds(2000)) {
    std::promise<void> done;
    store->close(grace, [&] { done.set_value(); });
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }

  testing::TempDir folder_;
  Listener listener_;
  std::unique_ptr<Registry> registry_;
};

class Sink : public FetchSink {
 public:
  explicit Sink(std::function<SinkAnswer(std::size_t)> answer = {}) : answer_(std::move(answer)) {}
  SinkAnswer begin(const FetchInfo& info) override {
    total = info.total;
    token = info.change_token;
    return SinkAnswer::go_on;
  }
  SinkAnswer bytes(std::span<const std::byte> data) override {
    got += data.size();
    return answer_ ? answer_(got) : SinkAnswer::go_on;
  }
  std::optional<std::uint64_t> total;
  std::string token;
  std::atomic<std::size_t> got{0};

 private:
  std::function<SinkAnswer(std::size_t)> answer_;
};

TEST_F(StorageBridgeTest, ListsWithWhatTheStoreSays) {
  auto store = create("good");
  EXPECT_EQ(store->caps().parallel, 3u);
  EXPECT_TRUE(store->caps().has(OTAGATE_STORE_LOCAL));
  Answer<ListPage> answer;
  store->list("", 100, kLong, answer.reply());
  const auto page = answer.get();
  ASSERT_TRUE(page) << page.error().message();
  ASSERT_EQ(page->objects.size(), 3u);
  EXPECT_EQ(page->cursor, "next");
  const Object& object = page->objects[1];
  EXPECT_EQ(object.key, "object-1");
  EXPECT_EQ(object.size, 100u);
  EXPECT_EQ(object.metadata, (Pairs{{"name", "sensor"}, {"version", "1.0.0"}}));
  EXPECT_EQ(object.locators, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(object.flags, OTAGATE_OBJECT_RANGES);
  Answer<ListPage> last;
  store->list(page->cursor, 100, kLong, last.reply());
  EXPECT_TRUE(last.get()->cursor.empty());
}

TEST_F(StorageBridgeTest, WhatTheStoreDoesNotHaveIsUnsupported) {
  auto store = create("good");
  Answer<Object> stat;
  EXPECT_EQ(store->stat("key", kLong, stat.reply()), 0u);
  EXPECT_EQ(stat.get().error().code(), Code::unsupported);
  Answer<std::string> presign;
  store->presign("key", "", false, kLong, kLong, presign.reply());
  EXPECT_EQ(presign.get().error().code(), Code::unsupported);
  Answer<void> feedback;
  store->feedback({}, kLong, feedback.reply());
  EXPECT_EQ(feedback.get().error().code(), Code::unsupported);
}

TEST_F(StorageBridgeTest, FetchesIntoTheSink) {
  for (const char* plugin : {"misbehave", "misbehave-serial", "misbehave-async"}) {
    auto store = create("good", plugin);
    auto sink = std::make_shared<Sink>();
    Answer<void> answer;
    store->fetch({"key", "", "t1", 0, 123'456}, kLong, sink, answer.reply());
    ASSERT_TRUE(answer.get());
    EXPECT_EQ(sink->got, 123'456u);
    EXPECT_EQ(sink->total, 1'000'000u);
    EXPECT_EQ(sink->token, "t1");
  }
}

TEST_F(StorageBridgeTest, ThrowFromCreateFailsTheInstanceOnly) {
  const auto made = try_create("throw_create");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("cannot be made"), std::string::npos);
  EXPECT_EQ(status_of("store-throw_create").state, InstanceState::failed);
  EXPECT_NE(listener_.wait("state:failed").find("cannot be made"), std::string::npos);
  EXPECT_TRUE(create("good"));
}

TEST_F(StorageBridgeTest, ARefusedConfigurationIsShownWithItsReason) {
  const auto made = try_create("refuse");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::invalid);
  EXPECT_EQ(status_of("store-refuse").reason, "option 'path' is missing");
}

TEST_F(StorageBridgeTest, ACreateThatHangsIsGivenUp) {
  auto settings = testing::settings(folder_.path());
  settings.create_timeout = kShort;
  registry_ = std::make_unique<Registry>(settings, listener_);
  registry_->scan();
  const auto made = try_create("hang_create");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::deadline);
  EXPECT_EQ(status_of("store-hang_create").state, InstanceState::failed);
}

TEST_F(StorageBridgeTest, ThrowFromACallFailsTheInstanceWithItsReason) {
  for (const char* mode : {"throw", "throw_int"}) {
    auto store = create(mode);
    Answer<ListPage> answer;
    store->list("", 10, kLong, answer.reply());
    EXPECT_EQ(answer.get().error().code(), Code::internal);
    EXPECT_EQ(store->status().state, InstanceState::failed);
    EXPECT_EQ(store->status().counters.thrown, 1u);
    EXPECT_NE(store->status().reason.find("list() threw"), std::string::npos) << store->status().reason;
    Answer<ListPage> refused;
    EXPECT_EQ(store->list("", 10, kLong, refused.reply()), 0u);
    EXPECT_EQ(refused.get().error().code(), Code::internal);
    EXPECT_EQ(store->status().counters.refused, 1u);
  }
}

TEST_F(StorageBridgeTest, ASecondCompletionIsCountedAndIgnored) {
  auto store = create("twice");
  for (int i = 0; i < 3; ++i) {
    Answer<ListPage> answer;
    store->list("", 10, kLong, answer.reply());
    ASSERT_TRUE(answer.get());
  }
  EXPECT_TRUE(eventually([&] { return store->status().counters.stray == 3; }));
  EXPECT_EQ(store->status().state, InstanceState::running);
  EXPECT_NE(store->status().reason.find("completed a call twice"), std::string::npos);
  EXPECT_NE(listener_.wait("plugin_misbehaved").find("twice"), std::string::npos);
  EXPECT_EQ(listener_.count("plugin_misbehaved"), 1u) << "repeats are collapsed";
}

TEST_F(StorageBridgeTest, ACompletionOfACallThatWasNeverMadeIsIgnored) {
  auto store = create("unknown_call");
  Answer<ListPage> answer;
  store->list("", 10, kLong, answer.reply());
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(store->status().counters.stray, 1u);
}

TEST_F(StorageBridgeTest, AnUnknownStatusIsInternal) {
  auto store = create("unknown_status");
  Answer<ListPage> answer;
  store->list("", 10, kLong, answer.reply());
  const auto page = answer.get();
  EXPECT_EQ(page.error().code(), Code::internal);
  EXPECT_EQ(page.error().message(), "what is that");
}

TEST_F(StorageBridgeTest, CompletesFromAnotherThread) {
  auto store = create("thread", "misbehave-async");
  for (int i = 0; i < 20; ++i) {
    Answer<ListPage> answer;
    store->list("", 10, kLong, answer.reply());
    EXPECT_TRUE(answer.get());
  }
  close(store);
}

TEST_F(StorageBridgeTest, ALateCompletionIsCounted) {
  auto store = create("late");
  Answer<ListPage> answer;
  store->list("", 10, kShort, answer.reply());
  EXPECT_EQ(answer.get().error().code(), Code::deadline);
  EXPECT_TRUE(eventually([&] { return store->status().counters.late == 1; }));
  EXPECT_EQ(store->status().counters.deadlines, 1u);
  EXPECT_EQ(store->status().state, InstanceState::running);
}

TEST_F(StorageBridgeTest, ACallThatNeverCompletesMakesItHungThenFailed) {
  auto store = create("never");
  Answer<ListPage> answer;
  store->list("", 10, kShort, answer.reply());
  EXPECT_EQ(answer.get().error().code(), Code::deadline);
  EXPECT_NE(listener_.wait("state:hung").find("list() has not returned"), std::string::npos);
  EXPECT_NE(listener_.wait("state:failed").find("abandoned"), std::string::npos);
  EXPECT_EQ(store->status().open_calls, 1u);
}

TEST_F(StorageBridgeTest, AStuckCallHoldsItsOwnShareAndNobodyElsesTime) {
  auto stuck = create("hang");
  auto good = create("good");
  for (int i = 0; i < 3; ++i) {
    Answer<ListPage> answer;
    stuck->list("", 10, kShort, answer.reply());
    EXPECT_EQ(answer.get().error().code(), Code::deadline);
  }
  // One of four threads is left, so the same instance still fetches.
  auto sink = std::make_shared<Sink>();
  Answer<void> fetched;
  stuck->fetch({"key", "", "", 0, 1000}, kLong, sink, fetched.reply());
  EXPECT_TRUE(fetched.get());
  for (int i = 0; i < 20; ++i) {
    Answer<ListPage> answer;
    good->list("", 10, kLong, answer.reply());
    EXPECT_TRUE(answer.get());
  }
  EXPECT_EQ(listener_.wait("state:hung").substr(0, 6), "list()");
}

TEST_F(StorageBridgeTest, WhatWaitsBehindAStuckCallGetsItsDeadline) {
  auto store = create("hang", "misbehave-serial");
  Answer<ListPage> first, second;
  store->list("", 10, kShort, first.reply());
  store->list("", 10, kShort, second.reply());
  EXPECT_EQ(first.get().error().code(), Code::deadline);
  EXPECT_EQ(second.get().error().code(), Code::deadline);
  EXPECT_EQ(store->status().counters.calls, 1u) << "the second was never made";
  EXPECT_EQ(store->status().open_calls, 1u);
}

TEST_F(StorageBridgeTest, TheQueueOfAnInstanceIsBounded) {
  auto store = create("hang", "misbehave-serial");
  std::vector<Answer<ListPage>> answers(300);
  std::size_t busy = 0;
  for (auto& answer : answers) store->list("", 10, kShort, answer.reply());
  for (auto& answer : answers) busy += answer.get().error().code() == Code::busy ? 1 : 0;
  EXPECT_GE(busy, 43u);
  EXPECT_LE(busy, 44u);
}

TEST_F(StorageBridgeTest, CancelEndsABlockedCall) {
  for (const char* mode : {"block", "cancellable"}) {
    auto store = create(mode);
    Answer<ListPage> answer;
    const CallId call = store->list("", 10, kLong, answer.reply());
    ASSERT_TRUE(eventually([&] { return store->status().counters.calls == 1; }));
    store->cancel(call);
    store->cancel(call);
    EXPECT_EQ(answer.get().error().code(), Code::cancelled);
    store->cancel(call);
    EXPECT_EQ(store->status().counters.cancelled, 1u) << mode;
    EXPECT_TRUE(eventually([&] { return store->status().open_calls == 0; }));
  }
}

TEST_F(StorageBridgeTest, CancelOfAQueuedCallIsAnsweredAtOnce) {
  auto store = create("block", "misbehave-serial");
  Answer<ListPage> running, queued;
  store->list("", 10, kLong, running.reply());
  const CallId call = store->list("", 10, kLong, queued.reply());
  store->cancel(call);
  EXPECT_EQ(queued.get().error().code(), Code::cancelled);
  EXPECT_FALSE(running.here());
  close(store);
  EXPECT_EQ(running.get().error().code(), Code::cancelled);
}

TEST_F(StorageBridgeTest, ACancelThatIsIgnoredIsAnsweredAllTheSame) {
  auto store = create("hang");
  Answer<ListPage> answer;
  const CallId call = store->list("", 10, kLong, answer.reply());
  ASSERT_TRUE(eventually([&] { return store->status().counters.calls == 1; }));
  store->cancel(call);
  EXPECT_EQ(answer.get().error().code(), Code::cancelled);
}

TEST_F(StorageBridgeTest, CallsOfAPluginThatIsNotThreadSafeAreMadeOneByOne) {
  for (const auto& [plugin, together] :
       {std::pair{"misbehave-serial", false}, std::pair{"misbehave", true}}) {
    auto store = create("slow", plugin);
    std::vector<Answer<ListPage>> answers(6);
    const auto begin = std::chrono::steady_clock::now();
    for (auto& answer : answers) store->list("", 10, kLong, answer.reply());
    for (auto& answer : answers) EXPECT_TRUE(answer.get());
    const auto took = std::chrono::steady_clock::now() - begin;
    if (!together) {
      EXPECT_GE(took, milliseconds(6 * 50));
    }
    EXPECT_EQ(store->status().threads > 1, together);
  }
}

TEST_F(StorageBridgeTest, ASinkThatStopsEndsTheFetch) {
  auto store = create("good");
  auto sink = std::make_shared<Sink>(
      [](std::size_t got) { return got >= 20'000 ? SinkAnswer::stop : SinkAnswer::go_on; });
  Answer<void> answer;
  store->fetch({"key", "", "", 0, 1'000'000}, kLong, sink, answer.reply());
  EXPECT_EQ(answer.get().error().code(), Code::cancelled);
  EXPECT_EQ(sink->got, 20'000u);
}

TEST_F(StorageBridgeTest, APauseHoldsABlockingPluginUntilResume) {
  auto store = create("good");
  std::promise<void> paused;
  auto sink = std::make_shared<Sink>([&](std::size_t got) {
    if (got == 10'000) paused.set_value();
    return got == 10'000 ? SinkAnswer::pause : SinkAnswer::go_on;
  });
  Answer<void> answer;
  const CallId call = store->fetch({"key", "", "", 0, 50'000}, kLong, sink, answer.reply());
  paused.get_future().wait();
  EXPECT_FALSE(answer.here());
  EXPECT_EQ(sink->got, 10'000u);
  store->resume(call);
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(sink->got, 50'000u);
}

TEST_F(StorageBridgeTest, APauseReachesAPluginThatDoesNotBlock) {
  auto store = create("good", "misbehave-async");
  std::promise<void> paused;
  auto sink = std::make_shared<Sink>([&](std::size_t) {
    paused.set_value();
    return SinkAnswer::pause;
  });
  Answer<void> answer;
  const CallId call = store->fetch({"key", "", "", 0, 10'001}, kLong, sink, answer.reply());
  paused.get_future().wait();
  std::this_thread::sleep_for(milliseconds(20));  // for the completion that must not come
  EXPECT_FALSE(answer.here());
  store->resume(call);
  EXPECT_TRUE(answer.get()) << "resume() reached it, and it completed";
}

TEST_F(StorageBridgeTest, CancelWakesAPausedSink) {
  auto store = create("good");
  std::promise<void> paused;
  auto sink = std::make_shared<Sink>([&](std::size_t) {
    paused.set_value();
    return SinkAnswer::pause;
  });
  Answer<void> answer;
  const CallId call = store->fetch({"key", "", "", 0, 50'000}, kLong, sink, answer.reply());
  paused.get_future().wait();
  store->cancel(call);
  EXPECT_EQ(answer.get().error().code(), Code::cancelled);
}

TEST_F(StorageBridgeTest, ProgressMovesTheDeadlineOfAFetch) {
  auto store = create("good");
  auto sink = std::make_shared<Sink>([](std::size_t) {
    std::this_thread::sleep_for(milliseconds(60));  // a slow disk
    return SinkAnswer::go_on;
  });
  Answer<void> answer;
  store->fetch({"key", "", "", 0, 80'000}, kShort, sink, answer.reply());  // 8 x 60 ms
  EXPECT_TRUE(answer.get());
}

TEST_F(StorageBridgeTest, NoSinkCallComesAfterTheReply) {
  auto store = create("sink_after_end");
  auto sink = std::make_shared<Sink>();
  Answer<void> answer;
  store->fetch({"key", "", "", 0, 10'000}, kLong, sink, answer.reply());
  EXPECT_TRUE(answer.get());
  EXPECT_TRUE(eventually([&] { return store->status().counters.stray == 1; }));
  EXPECT_EQ(sink->got, 10'000u);
}

TEST_F(StorageBridgeTest, MoreThan64KiBAtATimeAreRefused) {
  auto store = create("big_sink");
  auto sink = std::make_shared<Sink>();
  Answer<void> answer;
  store->fetch({"key", "", "", 0, 100'000}, kLong, sink, answer.reply());
  const auto result = answer.get();
  EXPECT_EQ(result.error().code(), Code::internal);
  EXPECT_NE(result.error().message().find("64 KiB"), std::string::npos);
  EXPECT_EQ(sink->got, 0u);
  EXPECT_EQ(store->status().counters.oversize, 1u);
}

TEST_F(StorageBridgeTest, ObjectsThatBreakABoundAreLeftOut) {
  auto store = create("long_key");
  Answer<ListPage> answer;
  store->list("", 10, kLong, answer.reply());
  const auto page = answer.get();
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->unreadable, 1u);
}

TEST_F(StorageBridgeTest, AFloodOfObjectsIsCut) {
  auto store = create("flood");
  Answer<ListPage> answer;
  store->list("", 10, kLong, answer.reply());
  EXPECT_EQ(answer.get().error().code(), Code::internal);
}

TEST_F(StorageBridgeTest, OptionsArriveByPath) {
  create("options");
  EXPECT_EQ(listener_.wait("options"), "options;b;;v;;6:1:key");
}

TEST_F(StorageBridgeTest, MetricsAddUpAndBadNamesAreLeftOut) {
  auto store = create("metrics");
  const auto metrics = store->status().metrics;
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_EQ(metrics[0].name, "depth");
  EXPECT_TRUE(metrics[0].gauge);
  EXPECT_EQ(metrics[1].name, "requests");
  EXPECT_EQ(metrics[1].value, 5);
}

TEST_F(StorageBridgeTest, CloseCancelsWhatIsOpenAndDestroys) {
  auto store = create("block");
  std::vector<Answer<ListPage>> answers(6);
  for (auto& answer : answers) store->list("", 10, kLong, answer.reply());
  close(store);
  for (auto& answer : answers) EXPECT_EQ(answer.get().error().code(), Code::cancelled);
  EXPECT_EQ(store->status().state, InstanceState::stopped);
  Answer<ListPage> after;
  store->list("", 10, kLong, after.reply());
  EXPECT_EQ(after.get().error().code(), Code::cancelled);
}

TEST_F(StorageBridgeTest, APluginThatDoesNotLetGoIsLeftBehind) {
  auto store = create("hang");
  Answer<ListPage> answer;
  store->list("", 10, kLong, answer.reply());
  ASSERT_TRUE(eventually([&] { return store->status().counters.calls == 1; }));
  close(store, milliseconds(300));
  EXPECT_EQ(store->status().state, InstanceState::hung);
}

TEST_F(StorageBridgeTest, CreatesAndDestroysManyTimes) {
  for (int i = 0; i < 100; ++i) {
    auto store = create("good");
    Answer<ListPage> answer;
    store->list("", 10, kLong, answer.reply());
    EXPECT_TRUE(answer.get());
    close(store);
  }
  EXPECT_EQ(registry_->instances().size(), 1u);
  registry_->remove("store-good", Kind::store);
  EXPECT_TRUE(registry_->instances().empty());
}

}  // namespace
}  // namespace otagate::plugin

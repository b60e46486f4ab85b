#include "rollout/assignment.hpp"

#include <gtest/gtest.h>

namespace otagate::rollout {
namespace {

using namespace std::chrono_literals;
using Milliseconds = Assignment::Milliseconds;

TEST(Assignment, ProgressIsSaidEachTenthOrMinute) {
  Assignment assignment(false, false);
  EXPECT_EQ(assignment.began(1000, 1s)->total, 1000U);
  EXPECT_FALSE(assignment.progress(0, 1000, 2s));
  EXPECT_FALSE(assignment.progress(99, 1000, 3s));
  EXPECT_EQ(assignment.progress(100, 1000, 4s)->done, 100U);
  EXPECT_FALSE(assignment.progress(199, 1000, 63s));
  EXPECT_EQ(assignment.progress(150, 1000, 64s)->done, 150U);  // a minute after the last
  EXPECT_FALSE(assignment.progress(150, 1000, 200s));          // nothing new
  unsigned said = 0;
  for (std::uint64_t done = 151; done <= 1000; ++done) said += assignment.progress(done, 1000, 201s) ? 1 : 0;
  EXPECT_LE(said, 9U);
  EXPECT_EQ(assignment.downloaded(1000)->kind, FeedbackKind::downloaded);
  // Without a known size only time counts.
  assignment.began(0, 300s);
  EXPECT_FALSE(assignment.progress(5000, 0, 301s));
  EXPECT_TRUE(assignment.progress(6000, 0, 360s));
}

TEST(Assignment, EndsOnceAndIsSilentAfterwards) {
  Assignment assignment(false, false);
  EXPECT_EQ(assignment.succeed({})->kind, FeedbackKind::success);
  EXPECT_FALSE(assignment.fail("late"));
  EXPECT_FALSE(assignment.progress(1000, 1000, 100s));
  EXPECT_FALSE(assignment.began(1, 1s));
  EXPECT_FALSE(assignment.held_up("anything"));
  EXPECT_EQ(assignment.outcome(), FeedbackKind::success);
}

TEST(Assignment, TheLastTryIsWhatFailed) {
  Assignment assignment(false, false);
  const auto again = assignment.tried(7, "bad flash", true);
  EXPECT_EQ(again->kind, FeedbackKind::progress);
  EXPECT_EQ(again->message, "it is tried again: bad flash");
  EXPECT_FALSE(assignment.tried(8, "worse flash", false));
  const auto end = assignment.fail({});
  EXPECT_EQ(end->kind, FeedbackKind::failure);
  EXPECT_EQ(end->code, 8);
  EXPECT_EQ(end->message, "worse flash");
}

TEST(Assignment, NothingBeginsBeforeUpstreamWasToldThatSomebodyAgreed) {
  Assignment assignment(false, true);
  EXPECT_FALSE(assignment.may_begin());
  EXPECT_EQ(assignment.agreed()->kind, FeedbackKind::confirmed);
  EXPECT_FALSE(assignment.agreed());
  EXPECT_FALSE(assignment.may_begin());
  // Asked once more: it had not heard it yet.
  assignment.said_again(false, true);
  EXPECT_EQ(assignment.confirmation(), Confirmation::agreed);
  assignment.told_that_agreed();
  EXPECT_TRUE(assignment.may_begin());
  assignment.said_again(false, false);
  EXPECT_TRUE(assignment.may_begin());
  Assignment denied(false, true);
  EXPECT_EQ(denied.deny("no")->kind, FeedbackKind::denied);
  EXPECT_FALSE(denied.may_begin());
  EXPECT_FALSE(denied.agreed());
}

TEST(Assignment, OneThatIsOnlyDownloadedEndsWithIt) {
  Assignment assignment(true, false);
  EXPECT_FALSE(assignment.downloaded(10));
  EXPECT_EQ(assignment.succeed({})->kind, FeedbackKind::downloaded);
  EXPECT_TRUE(assignment.succeeded());
}

// Every state a cancel can meet.
TEST(Assignment, CancelIsRefusedOnlyWhereTheDeviceCannotBeStopped) {
  Assignment waiting(false, false);
  EXPECT_EQ(waiting.cancel(false).kind, FeedbackKind::cancelled);
  EXPECT_EQ(waiting.cancel(false).kind, FeedbackKind::cancelled);  // said again
  EXPECT_FALSE(waiting.succeed({}));
  Assignment applying(false, false);
  EXPECT_EQ(applying.cancel(true).kind, FeedbackKind::cancel_refused);
  EXPECT_EQ(applying.succeed({})->kind, FeedbackKind::success);  // and goes on
  EXPECT_EQ(applying.cancel(false).kind, FeedbackKind::cancel_refused);
  Assignment failed(false, false);
  failed.fail("x");
  EXPECT_EQ(failed.cancel(false).kind, FeedbackKind::cancelled);
  Assignment asked(false, true);
  EXPECT_EQ(asked.cancel(false).kind, FeedbackKind::cancelled);
}

TEST(Assignment, WhatHoldsItUpIsSaidOnce) {
  Assignment assignment(false, false);
  EXPECT_TRUE(assignment.held_up("no such object"));
  EXPECT_FALSE(assignment.held_up("no such object"));
  EXPECT_TRUE(assignment.held_up("another reason"));
  assignment.began(1, 1s);
  EXPECT_TRUE(assignment.held_up("another reason"));
}

TEST(Assignment, ReadsBackAsItWasStored) {
  const Assignment stored(true, Confirmation::told, FeedbackKind::downloaded);
  EXPECT_TRUE(stored.download_only());
  EXPECT_TRUE(stored.succeeded());
  EXPECT_EQ(stored.confirmation(), Confirmation::told);
}

}  // namespace
}  // namespace otagate::rollout

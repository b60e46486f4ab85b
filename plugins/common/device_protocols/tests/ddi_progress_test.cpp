// Feedback, from the first byte to the end of the attempt.
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DdiTest, IntermediateFeedbackIsDownloading) {
  offer(7);
  get("");
  for (const char* execution : {"proceeding", "download", "scheduled", "resumed"}) {
    EXPECT_EQ(post("deploymentBase/7/feedback", saying(execution, R"({"cnt":1,"of":4})")).status, 200);
    const auto& report = gateway_.reported.back();
    EXPECT_EQ(report.attempt, 7U);
    EXPECT_EQ(report.state, OTAGATE_ATTEMPT_DOWNLOADING) << execution;
    EXPECT_EQ(report.offset, 250U);
    EXPECT_EQ(report.device, "dev1");
    EXPECT_EQ(report.principal, 42U);
  }
  EXPECT_EQ(gateway_.came.size(), 1U) << "an attempt that is known needs no further check-in";
}

TEST_F(DdiTest, WhatProceedsAfterTheDownloadIsTheInstallation) {
  offer(7);
  get("");
  EXPECT_EQ(post("deploymentBase/7/feedback", saying("downloaded")).status, 200);
  EXPECT_EQ(gateway_.reported.back().state, OTAGATE_ATTEMPT_DOWNLOADED);
  EXPECT_EQ(gateway_.reported.back().offset, 1000U);
  post("deploymentBase/7/feedback", saying("proceeding"));
  EXPECT_EQ(gateway_.reported.back().state, OTAGATE_ATTEMPT_APPLYING);
  // Not so with the next one.
  post("deploymentBase/7/feedback", kSuccess);
  offer(8);
  get("");
  post("deploymentBase/8/feedback", saying("proceeding"));
  EXPECT_EQ(gateway_.reported.back().state, OTAGATE_ATTEMPT_DOWNLOADING);
}

TEST_F(DdiTest, ClosedConfirmsEveryPart) {
  offer(7, 3);
  get("");
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 200);
  ASSERT_EQ(gateway_.reported.size(), 3U);
  for (std::uint32_t part = 0; part < 3; ++part) {
    EXPECT_EQ(gateway_.reported[part].state, OTAGATE_ATTEMPT_CONFIRMED);
    EXPECT_EQ(gateway_.reported[part].part, part);
  }
}

TEST_F(DdiTest, ClosedWithoutAResultIsASuccessAsWithHawkbit) {
  offer(7);
  get("");
  EXPECT_EQ(post("deploymentBase/7/feedback", saying("closed")).status, 200);
  EXPECT_EQ(gateway_.reported.back().state, OTAGATE_ATTEMPT_CONFIRMED);
}

TEST_F(DdiTest, ClosedWithFailureFailsWithItsReason) {
  offer(7, 2);
  get("");
  gateway_.progress_answers = {answering(OTAGATE_STOP)};
  EXPECT_EQ(post("deploymentBase/7/feedback", kFailure).status, 200);
  ASSERT_EQ(gateway_.reported.size(), 1U);
  EXPECT_EQ(gateway_.reported[0].state, OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(gateway_.reported[0].code, -3);
  EXPECT_EQ(gateway_.reported[0].message, "flash; is full");
}

// The gateway may be at a later part, whose number DDI does not know.
TEST_F(DdiTest, AFailureReachesThePartTheAttemptIsAt) {
  offer(7, 3);
  get("");
  gateway_.progress_answers = {answering(OTAGATE_CONTINUE), answering(OTAGATE_STOP)};
  EXPECT_EQ(post("deploymentBase/7/feedback", kFailure).status, 200);
  ASSERT_EQ(gateway_.reported.size(), 2U);
  EXPECT_EQ(gateway_.reported[1].part, 1U);
}

TEST_F(DdiTest, RejectedAndCanceledAreFailures) {
  for (const char* execution : {"rejected", "canceled"}) {
    offer(7);
    get("");
    gateway_.progress_answers = {answering(OTAGATE_STOP)};
    EXPECT_EQ(post("deploymentBase/7/feedback", saying(execution)).status, 200);
    EXPECT_EQ(gateway_.reported.back().state, OTAGATE_ATTEMPT_FAILED);
    EXPECT_TRUE(gateway_.reported.back().message.starts_with(execution));
  }
}

TEST_F(DdiTest, AnActionThatIsOverIsGone) {
  offer(7);
  get("");
  gateway_.progress_answers = {answering(0, OTAGATE_NOT_FOUND), answering(OTAGATE_STOP),
                               answering(0, OTAGATE_NOT_FOUND), answering(OTAGATE_STOP)};
  for (const std::string& body :
       {saying("proceeding"), saying("proceeding"), std::string(kFailure), std::string(kSuccess)})
    EXPECT_EQ(post("deploymentBase/7/feedback", body).status, 410) << body;
  for (const std::string& body : {saying("proceeding"), std::string(kFailure), std::string(kSuccess)}) {
    gateway_.progress_answers = {answering(0, OTAGATE_PRECONDITION)};
    EXPECT_EQ(post("deploymentBase/7/feedback", body).status, 410) << body;
  }
  EXPECT_EQ(post("deploymentBase/6/feedback", kSuccess).status, 410);
}

TEST_F(DdiTest, AnEndThatIsSaidAgainIsAccepted) {
  offer(7);
  get("");
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 200);
  withdraw();
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 200);
  EXPECT_EQ(gateway_.reported.size(), 1U);
  EXPECT_EQ(post("deploymentBase/8/feedback", kSuccess).status, 410);
}

// As after a restart of the gateway between the poll and the feedback.
TEST_F(DdiTest, FeedbackNeedsNoPollBefore) {
  offer(7, 2);
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 200);
  EXPECT_EQ(gateway_.reported.size(), 2U);
  EXPECT_EQ(gateway_.came.size(), 1U);
}

}  // namespace
}  // namespace otagate::plugins::devices

#include "http/status.hpp"

#include <gtest/gtest.h>

#include "otagate/plugin.h"

namespace otagate::http {
namespace {

unsigned status_of(std::uint32_t status) { return problem_of(status, 0, "", true).status; }

TEST(ProblemOf, MapsEveryStatus) {
  EXPECT_EQ(status_of(OTAGATE_NOT_FOUND), 404U);
  EXPECT_EQ(status_of(OTAGATE_DENIED), 403U);
  EXPECT_EQ(problem_of(OTAGATE_DENIED, 0, "", false).status, 401U);
  EXPECT_EQ(status_of(OTAGATE_INVALID), 400U);
  EXPECT_EQ(status_of(OTAGATE_REJECTED), 502U);
  EXPECT_EQ(status_of(OTAGATE_PERMANENT), 502U);
  EXPECT_EQ(status_of(OTAGATE_PRECONDITION), 412U);
  for (const std::uint32_t status : {OTAGATE_TRANSIENT, OTAGATE_DEADLINE, OTAGATE_CHANGED, OTAGATE_BUSY,
                                     OTAGATE_THROTTLED, OTAGATE_CLOCK, OTAGATE_CANCELLED, OTAGATE_NO_SPACE}) {
    EXPECT_EQ(status_of(status), 503U) << status;
    EXPECT_GT(problem_of(status, 0, "", true).retry_after_s, 0U) << status;
  }
  EXPECT_EQ(status_of(OTAGATE_INTERNAL), 500U);
  EXPECT_EQ(status_of(OTAGATE_UNSUPPORTED), 500U);
  EXPECT_EQ(status_of(4711), 500U);
}

TEST(ProblemOf, KeepsWhatTheHostSays) {
  const Problem problem = problem_of(OTAGATE_TRANSIENT, 2001, "the bucket is away", true);
  EXPECT_EQ(problem.message, "the bucket is away");
  EXPECT_EQ(problem.retry_after_s, 3U);
  EXPECT_FALSE(problem_of(OTAGATE_REJECTED, 0, "", true).message.empty());
}

}  // namespace
}  // namespace otagate::http

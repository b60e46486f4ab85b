// Consent to an update (confirmationBase).
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DdiTest, ConsentIsGivenUnlessItIsAskedFor) {
  offer(7);
  EXPECT_NE(get("confirmationBase").body.find(R"("active":true)"), std::string::npos);
  EXPECT_EQ(get("confirmationBase/7").status, 404);
  EXPECT_EQ(post("confirmationBase/activateAutoConfirm", "{}").status, 200);
  EXPECT_EQ(post("confirmationBase/deactivateAutoConfirm").status, 409);
}

class DdiConsentTest : public DdiTest {
 protected:
  DdiConsentTest() { ddi_.emplace(Ddi::Options{"DEFAULT", true}); }
};

TEST_F(DdiConsentTest, AnUpdateWaitsForIt) {
  offer(7);
  const std::string poll = get("").body;
  EXPECT_NE(poll.find("/confirmationBase/7?c="), std::string::npos) << poll;
  EXPECT_EQ(poll.find("deploymentBase"), std::string::npos) << poll;
  EXPECT_EQ(get("deploymentBase/7").status, 404);
  EXPECT_TRUE(get("confirmationBase/7").body.starts_with(R"({"id":"7","confirmation":{"download":"forced")"));
  EXPECT_NE(get("confirmationBase").body.find(R"("active":false)"), std::string::npos);
  EXPECT_EQ(post("confirmationBase/8/feedback", R"({"confirmation":"confirmed"})").status, 404);
  EXPECT_EQ(post("confirmationBase/7/feedback", R"({"confirmation":"yes"})").status, 400);
  EXPECT_EQ(post("confirmationBase/7/feedback", R"({"confirmation":"confirmed"})").status, 200);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_EQ(get("deploymentBase/7").status, 200);
  EXPECT_EQ(get("confirmationBase/7").status, 404);
  offer(8);
  get("");
  post("cancelAction/7/feedback", kSuccess);
  EXPECT_TRUE(linked("confirmationBase"));
}

TEST_F(DdiConsentTest, DenyingItFailsTheAttempt) {
  offer(7, 2);
  get("");
  gateway_.progress_answers = {answering(OTAGATE_STOP)};
  EXPECT_EQ(post("confirmationBase/7/feedback", R"({"confirmation":"denied","code":5,"details":["in use"]})")
                .status,
            200);
  ASSERT_EQ(gateway_.reported.size(), 1U);
  EXPECT_EQ(gateway_.reported[0].state, OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(gateway_.reported[0].code, 5);
  EXPECT_EQ(gateway_.reported[0].message, "the device does not consent: in use");
}

TEST_F(DdiConsentTest, ADeviceMayAgreeToAll) {
  offer(7);
  EXPECT_EQ(post("confirmationBase/activateAutoConfirm").status, 200);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_EQ(post("confirmationBase/deactivateAutoConfirm").status, 200);
  EXPECT_TRUE(linked("confirmationBase"));
}

}  // namespace
}  // namespace otagate::plugins::devices

// Which requests are for the protocol, and what they are refused with.
#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DdiTest, ServesControllersOfAnyTenantAndNothingElse) {
  EXPECT_TRUE(ddi_->serves({"OTHER", "controller", "v1", "x"}));
  EXPECT_FALSE(ddi_->serves({"DEFAULT", "controller", "v1"}));
  EXPECT_FALSE(ddi_->serves({"DEFAULT", "controller", "v2", "x"}));
  EXPECT_FALSE(ddi_->serves({"firmware", "controller", "1.0", "x"}));
  EXPECT_FALSE(ddi_->serves({}));
}

TEST_F(DdiTest, AnotherTenantIsNotFoundAndReachesNobody) {
  Request request;
  request.path = {"OTHER", "controller", "v1", "dev1"};
  int status = 0;
  ddi_->handle(request, gateway_, [&](const Response& response) { status = response.status; });
  EXPECT_EQ(status, 404);
  ddi_.emplace(Ddi::Options{"OTHER", false});
  ddi_->handle(request, gateway_, [&](const Response& response) { status = response.status; });
  EXPECT_EQ(status, 200);
  EXPECT_EQ(gateway_.came.size(), 1U);
}

TEST_F(DdiTest, HalIsAnsweredToThoseWhoAcceptIt) {
  send(Method::get, "", {}, "application/hal+json, application/json");
  EXPECT_EQ(answer_->content_type, "application/hal+json");
  send(Method::get, "", {}, "*/*");
  EXPECT_EQ(answer_->content_type, "application/json");
}

TEST_F(DdiTest, SpeaksCborWithThoseWhoDo) {
  send(Method::get, "", {}, "application/cbor");
  EXPECT_EQ(answer_->content_type, "application/cbor");
  const auto poll = cbor::decode(answer_->body);
  ASSERT_TRUE(poll) << poll.message;
  const auto* config = poll.value.find("config");
  ASSERT_NE(config, nullptr);
  ASSERT_NE(config->find("polling"), nullptr);
  EXPECT_EQ(*config->find("polling")->find("sleep"), cbor::Value::text("00:05:00"));
  offer(7);
  get("");
  content_type_ = "application/cbor";
  // {"status": {"execution": "closed", "result": {"finished": "failure"}, "code": -3, "details": ["full"]}}
  const auto text = [](std::string_view words) { return cbor::Value::text(words); };
  const auto result = cbor::Value::map({text("finished"), text("failure")});
  const auto status =
      cbor::Value::map({text("execution"), text("closed"), text("result"), result, text("code"),
                        cbor::Value::integer(-3), text("details"), cbor::Value::array({text("full")})});
  cbor::Encoder message;
  message.value(cbor::Value::map({text("status"), status}));
  EXPECT_EQ(post("deploymentBase/7/feedback", message.data()).status, 200);
  ASSERT_EQ(gateway_.reported.size(), 1U);
  EXPECT_EQ(gateway_.reported[0].state, OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(gateway_.reported[0].code, -3);
  EXPECT_EQ(gateway_.reported[0].message, "full");
  for (const std::string& bad :
       {std::string(), std::string("\xa1"), std::string("\x41x"), std::string("\xa1\x01\x01", 3),
        std::string(100'000, '\x81'), std::string(kSuccess)}) {
    EXPECT_EQ(post("deploymentBase/7/feedback", bad).status, 400);
    EXPECT_TRUE(answer_->body.starts_with(R"({"error":")")) << answer_->body;
  }
}

TEST_F(DdiTest, RepliesMayComeLater) {
  gateway_.later = true;
  offer(7, 2);
  send(Method::get, "deploymentBase/7");
  EXPECT_FALSE(answer_);
  gateway_.run();
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->status, 200);
  EXPECT_NE(answer_->body.find(R"("part":"modem")"), std::string::npos);
  send(Method::post, "deploymentBase/7/feedback", kFailure);
  EXPECT_FALSE(answer_);
  gateway_.run();
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->status, 200);
  EXPECT_EQ(gateway_.reported.at(0).message, "flash; is full");
}

TEST_F(DdiTest, ARefusalOfTheGatewayIsPassedOn) {
  offer(7);
  get("");
  gateway_.progress_answers = {answering(0, OTAGATE_BUSY), answering(0, OTAGATE_DENIED)};
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 503);
  EXPECT_EQ(post("deploymentBase/7/feedback", saying("proceeding")).status, 403);
  gateway_.offer.status = OTAGATE_DENIED;
  gateway_.offer.message = "this credential is for another device";
  EXPECT_EQ(get("").status, 403);
  EXPECT_EQ(answer_->body, "{\"error\":\"this credential is for another device\"}\n");
  EXPECT_EQ(get("deploymentBase/7").status, 403);
  EXPECT_EQ(put("configData", R"({"data":{}})").status, 403);
}

TEST_F(DdiTest, MalformedMessagesAreRefusedBeforeTheGatewayHearsOfThem) {
  offer(7);
  for (const char* path :
       {"deploymentBase/7/feedback", "cancelAction/7/feedback", "confirmationBase/7/feedback"}) {
    for (const std::string& body : {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
                                    std::string("\xff\xfe"), std::string(100'000, '[')}) {
      EXPECT_EQ(post(path, body).status, 400) << path;
      EXPECT_TRUE(answer_->body.starts_with(R"({"error":")")) << answer_->body;
    }
  }
  EXPECT_EQ(put("configData", "{}").status, 400);
  EXPECT_EQ(put("installedBase", "{}").status, 400);
  content_type_ = "text/plain";
  EXPECT_EQ(post("deploymentBase/7/feedback", kSuccess).status, 415);
  EXPECT_TRUE(gateway_.came.empty());
  EXPECT_TRUE(gateway_.reported.empty());
}

TEST_F(DdiTest, UnknownResourcesAndMethodsSaySo) {
  for (const char* path :
       {"nothing", "deploymentBase", "deploymentBase/x", "deploymentBase/0", "deploymentBase/-1",
        "deploymentBase/99999999999999999999", "deploymentBase/7/feed", "deploymentBase/7/feedback/x",
        "cancelAction", "configData/x", "softwaremodules", "softwaremodules/os", "softwaremodules/os/other",
        "softwaremodules/os/artifacts/a/b", "confirmationBase/x", "installedBase/7/x"})
    EXPECT_EQ(get(path).status, 404) << path;
  const auto allowed = [&](Method method, const std::string& path) {
    EXPECT_EQ(asked(method, path).status, 405) << path;
    return answer_->headers.empty() ? std::string() : answer_->headers[0].second;
  };
  EXPECT_EQ(allowed(Method::post, ""), "GET");
  EXPECT_EQ(allowed(Method::del, "deploymentBase/7"), "GET");
  EXPECT_EQ(allowed(Method::get, "deploymentBase/7/feedback"), "POST");
  EXPECT_EQ(allowed(Method::put, "cancelAction/7/feedback"), "POST");
  EXPECT_EQ(allowed(Method::post, "configData"), "PUT");
  EXPECT_EQ(allowed(Method::get, "confirmationBase/activateAutoConfirm"), "POST");
  EXPECT_EQ(allowed(Method::post, "softwaremodules/os/artifacts"), "GET");
  EXPECT_TRUE(gateway_.came.empty());
  device_ = std::string(257, 'x');
  EXPECT_EQ(get("").status, 400);
}

}  // namespace
}  // namespace otagate::plugins::devices

#include "common/device_protocols/ddi/ddi.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <sstream>

#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "ddi_gateway.hpp"

namespace otagate::plugins::devices {
namespace {

constexpr char kSha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr char kSuccess[] = R"({"status":{"execution":"closed","result":{"finished":"success"}}})";
constexpr char kFailure[] =
    R"({"status":{"execution":"closed","result":{"finished":"failure"},"code":-3,"details":["flash","is full"]}})";

std::string saying(const std::string& execution, const std::string& progress = {}) {
  return R"({"status":{"execution":")" + execution + R"(","result":{"finished":"none")" +
         (progress.empty() ? "" : R"(,"progress":)" + progress) + "}}}";
}

class DdiTest : public ::testing::Test {
 protected:
  DdiTest() { ddi_.emplace(Ddi::Options{}); }

  static std::vector<std::string> segments(const std::string& path) {
    std::vector<std::string> out;
    std::istringstream in(path);
    for (std::string part; std::getline(in, part, '/');) out.push_back(part);
    return out;
  }

  // `path` is what follows the device's own; the request is gone when this returns.
  void send(Method method, const std::string& path, const std::string& body = {},
            const std::string& accept = "application/json") {
    answer_.reset();
    Request request;
    request.method = method;
    request.path = segments("DEFAULT/controller/v1/" + device_ + (path.empty() ? "" : "/" + path));
    const std::string sent(body), accepted(accept), peer("10.0.0.7"), base("http://gw:8080");
    request.body = sent;
    request.accept = accepted;
    request.peer = peer;
    request.base_url = base;
    request.content_type = content_type_;
    request.principal = 42;
    request.principal_type = "board";
    ASSERT_TRUE(ddi_->serves(request.path));
    ddi_->handle(request, gateway_, [this](Response response) {
      EXPECT_FALSE(answer_) << "answered twice";
      answer_ = std::move(response);
    });
  }
  const Response& asked(Method method, const std::string& path, const std::string& body = {}) {
    send(method, path, body);
    gateway_.run();
    EXPECT_TRUE(answer_) << path;
    if (!answer_) answer_.emplace();
    return *answer_;
  }
  const Response& get(const std::string& path) { return asked(Method::get, path); }
  const Response& post(const std::string& path, const std::string& body = {}) {
    return asked(Method::post, path, body);
  }
  const Response& put(const std::string& path, const std::string& body) {
    return asked(Method::put, path, body);
  }
  bool linked(const std::string& rel) {
    return get("").body.find("\"" + rel + "\":{\"href\"") != std::string::npos;
  }

  void offer(std::uint64_t attempt, std::size_t parts = 1) {
    sdk::Offer offer;
    offer.attempt = attempt;
    offer.next_after_ms = 60'000;
    const char* const components[] = {"application", "modem", "bootloader"};
    for (std::size_t i = 0; i < parts; ++i)
      offer.parts.push_back({100 + i, components[i], "app", "2.0", kSha256, {}, 1000 + i});
    gateway_.offer.value = offer;
  }
  void withdraw() { gateway_.offer.value = {}; }
  static sdk::Outcome<std::uint32_t> answering(std::uint32_t answer, std::uint32_t status = OTAGATE_OK) {
    sdk::Outcome<std::uint32_t> outcome;
    outcome.status = status;
    outcome.value = answer;
    return outcome;
  }

  std::string device_ = "dev1";
  std::string content_type_ = "application/json";
  DdiGateway gateway_;
  std::optional<Ddi> ddi_;
  std::optional<Response> answer_;
};

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

TEST_F(DdiTest, APollIsACheckInThatSaysNothingOfVersions) {
  const auto& answer = get("");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, R"({"config":{"polling":{"sleep":"00:05:00"}},"_links":{"configData":)"
                         R"({"href":"http://gw:8080/DEFAULT/controller/v1/dev1/configData"}}})");
  ASSERT_EQ(gateway_.came.size(), 1U);
  EXPECT_EQ(gateway_.came[0].principal, 42U);
  EXPECT_EQ(gateway_.came[0].device, "dev1");
  EXPECT_EQ(gateway_.came[0].type, "board");
  EXPECT_EQ(gateway_.came[0].address, "10.0.0.7");
  EXPECT_TRUE(gateway_.came[0].versions.empty());
  EXPECT_TRUE(gateway_.came[0].attributes.empty());
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

TEST_F(DdiTest, AnOfferIsADeployment) {
  offer(7);
  const std::string poll = get("").body;
  EXPECT_NE(poll.find(R"("sleep":"00:01:00")"), std::string::npos);
  const auto at = poll.find("deploymentBase/7?c=");
  ASSERT_NE(at, std::string::npos) << poll;
  gateway_.bytes.value = "070701" + std::string(104, '0') + "sw-description";
  const auto& answer = get("deploymentBase/7");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      R"({"id":"7","deployment":{"download":"forced","update":"forced","chunks":[)"
      R"({"part":"os","version":"2.0","name":"app","artifacts":[{"filename":"app-2.0.swu","hashes":)"
      R"({"sha1":"0123456789abcdef0123456789abcdef01234567","md5":"0123456789abcdef0123456789abcdef",)"
      R"("sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"size":1000,"_links":)"
      R"({"download-http":{"href":"http://gw:8080/blobs/sha256/)"
      R"(0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"md5sum-http":{"href":)"
      R"("http://gw:8080/DEFAULT/controller/v1/dev1/softwaremodules/os/artifacts/app-2.0.swu.MD5SUM"}}}]}]}})");
  EXPECT_EQ(get("deploymentBase/8").status, 404);
  withdraw();
  EXPECT_EQ(get("deploymentBase/7").status, 404);
}

TEST_F(DdiTest, EveryPartIsAChunk) {
  offer(7, 3);
  gateway_.offer.value.parts[1].params = {{"filename", "modem.bin"}};
  const std::string body = get("deploymentBase/7").body;
  EXPECT_NE(body.find(R"("part":"os")"), std::string::npos);
  EXPECT_NE(body.find(R"("part":"modem")"), std::string::npos);
  EXPECT_NE(body.find(R"("filename":"modem.bin")"), std::string::npos);
  EXPECT_NE(body.find(R"("part":"bootloader")"), std::string::npos);
  EXPECT_EQ(gateway_.digested, (std::vector<std::uint64_t>{100, 101, 102}));
}

TEST_F(DdiTest, WhatIsNotInTheCacheYetIsWorthAskingForAgain) {
  offer(7);
  gateway_.digests.status = OTAGATE_DEADLINE;
  gateway_.digests.retry_after_ms = 3000;
  const auto& answer = get("deploymentBase/7");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.retry_after, 3U);
  gateway_.digests.status = OTAGATE_OK;
  gateway_.offer.value.parts[0].size = OTAGATE_SIZE_UNKNOWN;
  EXPECT_EQ(get("deploymentBase/7").status, 503);
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

// suricatta sends its attributes first and begins at its next poll; a cancel it sees at a poll only.
TEST_F(DdiTest, PollsAreCloseUntilTheDeviceIsAtWork) {
  offer(7);
  gateway_.offer.value.next_after_ms = 0;
  gateway_.offer.value.lease_ms = 1'800'000;
  EXPECT_NE(get("").body.find(R"("sleep":"00:00:10")"), std::string::npos);
  post("deploymentBase/7/feedback", saying("proceeding"));
  EXPECT_NE(get("").body.find(R"("sleep":"00:00:30")"), std::string::npos);
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

TEST_F(DdiTest, AStoppedAttemptIsCancelledBeforeTheNextOneStarts) {
  offer(7);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_EQ(get("cancelAction/7").status, 404);
  offer(8);
  const std::string poll = get("").body;
  EXPECT_NE(poll.find("/cancelAction/7\""), std::string::npos) << poll;
  EXPECT_EQ(poll.find("deploymentBase"), std::string::npos) << poll;
  EXPECT_EQ(get("cancelAction/7").body, R"({"id":"7","cancelAction":{"stopId":"7"}})");
  EXPECT_EQ(get("cancelAction/8").status, 404);
  EXPECT_EQ(post("cancelAction/8/feedback", kSuccess).status, 404);
  EXPECT_EQ(post("cancelAction/7/feedback", saying("proceeding")).status, 200);
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_EQ(post("cancelAction/7/feedback", kSuccess).status, 200);
  EXPECT_TRUE(gateway_.reported.empty()) << "the gateway knows that it is over";
  EXPECT_NE(get("").body.find("/deploymentBase/8?"), std::string::npos);
}

TEST_F(DdiTest, ARefusedCancelEndsTheDialogueToo) {
  for (const char* execution : {"rejected", "canceled"}) {
    offer(7);
    get("");
    withdraw();
    EXPECT_TRUE(linked("cancelAction"));
    EXPECT_EQ(post("cancelAction/7/feedback", saying(execution)).status, 200);
    EXPECT_FALSE(linked("cancelAction"));
  }
  offer(9);
  get("");
  withdraw();
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_EQ(post("deploymentBase/9/feedback", saying("canceled")).status, 200);
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, AClientThatKnowsNoCancelGetsTheNextUpdateAllTheSame) {
  offer(7);
  get("");
  offer(8);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(linked("cancelAction"));
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, WhatADeviceClosedIsNotCancelled) {
  offer(7);
  get("");
  post("deploymentBase/7/feedback", kSuccess);
  withdraw();
  EXPECT_FALSE(linked("cancelAction"));
  offer(8);
  get("");
  withdraw();
  // It came back with the new version, and said so.
  EXPECT_EQ(put("installedBase", R"({"name":"app","version":"2.0"})").status, 200);
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, OneDevicesCancelIsNotAnothers) {
  offer(7);
  get("");
  withdraw();
  device_ = "dev2";
  EXPECT_FALSE(linked("cancelAction"));
  EXPECT_EQ(get("cancelAction/7").status, 404);
}

TEST_F(DdiTest, ConfigDataBecomesAttributesAndIsAskedForOnce) {
  EXPECT_TRUE(linked("configData"));
  EXPECT_EQ(put("configData", R"({"mode":"merge","data":{"VIN":"JH4","hw":"2"}})").status, 200);
  EXPECT_EQ(gateway_.came.back().attributes, (sdk::Pairs{{"VIN", "JH4"}, {"hw", "2"}}));
  EXPECT_TRUE(answer_->body.empty());
  EXPECT_FALSE(linked("configData"));
  put("configData", R"({"mode":"remove","data":{"VIN":"JH4"}})");
  EXPECT_EQ(gateway_.came.back().attributes, (sdk::Pairs{{"VIN", ""}}));
  // After an update it may have others.
  offer(7);
  get("");
  post("deploymentBase/7/feedback", kSuccess);
  withdraw();
  EXPECT_TRUE(linked("configData"));
}

// suricatta sends its attributes instead of installing, each time it is asked for both.
TEST_F(DdiTest, ConfigDataIsNotAskedForBesideAnUpdate) {
  offer(7);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_FALSE(linked("configData"));
  withdraw();
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_FALSE(linked("configData"));
  post("cancelAction/7/feedback", kSuccess);
  EXPECT_TRUE(linked("configData"));
}

TEST_F(DdiTest, InstalledBaseIsTheVersionOfTheApplication) {
  EXPECT_EQ(put("installedBase", R"({"name":"app","version":"1.2.3"})").status, 200);
  EXPECT_EQ(gateway_.came.back().versions, (sdk::Pairs{{"application", "1.2.3"}}));
  EXPECT_EQ(put("installedBase", R"({"name":"app"})").status, 400);
  EXPECT_EQ(get("installedBase/7").status, 404);
  EXPECT_EQ(get("installedBase").status, 405);
}

TEST_F(DdiTest, ArtifactsAreThoseOfTheOffer) {
  offer(7, 2);
  EXPECT_EQ(get("softwaremodules/modem/artifacts").status, 200);
  EXPECT_TRUE(answer_->body.starts_with(R"([{"filename":"app-2.0.bin","hashes":{)")) << answer_->body;
  EXPECT_EQ(get("softwaremodules/os/artifacts/app-2.0.bin").status, 302);
  ASSERT_EQ(answer_->headers.size(), 1U);
  EXPECT_EQ(answer_->headers[0].first, "Location");
  EXPECT_EQ(answer_->headers[0].second, "http://gw:8080/blobs/sha256/" + std::string(kSha256));
  EXPECT_EQ(get("softwaremodules/os/artifacts/app-2.0.bin.MD5SUM").body,
            "0123456789abcdef0123456789abcdef  app-2.0.bin\n");
  EXPECT_EQ(answer_->content_type, "text/plain");
  EXPECT_EQ(get("softwaremodules/os/artifacts/other.bin").status, 404);
  EXPECT_EQ(get("softwaremodules/jvm/artifacts").status, 404);
  withdraw();
  EXPECT_EQ(get("softwaremodules/os/artifacts").status, 404);
}

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

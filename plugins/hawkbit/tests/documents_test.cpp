// Golden exchanges of hawkBit's DDI, and what a hostile server may make of them.
#include "hawkbit/documents.hpp"

#include <gtest/gtest.h>

namespace otagate::hawkbit {
namespace {

using common::ddi::Handling;

constexpr char kBase[] = R"({"config":{"polling":{"sleep":"00:05:00"}},"_links":{
  "deploymentBase":{"href":"https://hb.example/DEFAULT/controller/v1/pump-7/deploymentBase/17?c=-2122565939"},
  "configData":{"href":"https://hb.example/DEFAULT/controller/v1/pump-7/configData"}}})";

constexpr char kDeployment[] = R"({"id":"17","deployment":{"download":"forced","update":"attempt",
  "maintenanceWindow":"available","chunks":[
   {"part":"os","version":"1.2.3","name":"app","artifacts":[{"filename":"app.bin",
     "hashes":{"sha1":"3fba1dd8b3a2a3a9f2d6a6a4f34bd8ed3a7c1d11","md5":"8a8bd4fb6d5a1c1bd1ec5e6b1b9a5a2d",
       "sha256":"51A8D5BE14AAB6AA9BAFB4A6A2B6A5A3A1E0B3C7C9E3A2E5A0D7A5E2C3B5A1D9"},
     "size":3,"_links":{
       "download":{"href":"https://cdn.example/app.bin"},
       "download-http":{"href":"http://hb.example/app.bin"},
       "md5sum-http":{"href":"http://hb.example/app.bin.MD5SUM"}}}],
    "metadata":[{"key":"slot","value":"A"}]},
   {"part":"bApp","version":"2","name":"modem","encrypted":true,"artifacts":[{"filename":"m.bin",
     "hashes":{"sha1":"3fba1dd8b3a2a3a9f2d6a6a4f34bd8ed3a7c1d12"},"size":5,"_links":{
       "download-http":{"href":"http://hb.example/m.bin"}}}]}]},
  "actionHistory":{"status":"RUNNING","messages":[]}})";

TEST(HawkbitDocuments, ReadsAPoll) {
  const auto base = parse_base(kBase);
  ASSERT_TRUE(base) << base.error().message;
  EXPECT_EQ(base->sleep_seconds, 300u);
  EXPECT_EQ(base->deployment, (ActionLink{"17", "-2122565939"}));
  EXPECT_TRUE(base->config_data);
  EXPECT_FALSE(base->cancel || base->confirmation);
}

TEST(HawkbitDocuments, ReadsAPollWithACancelOrAConsent) {
  const auto cancel = parse_base(
      R"({"_links":{"cancelAction":{"href":"https://x/DEFAULT/controller/v1/a/cancelAction/5"}}})");
  ASSERT_TRUE(cancel);
  EXPECT_EQ(cancel->cancel, (ActionLink{"5", ""}));
  EXPECT_EQ(cancel->sleep_seconds, std::nullopt);
  // The resource without an action is where automatic consent is switched on: no action waits.
  const auto consent = parse_base(
      R"({"_links":{"confirmationBase":{"href":"https://x/D/controller/v1/a/confirmationBase/9?c=1"}}})");
  ASSERT_TRUE(consent);
  EXPECT_EQ(consent->confirmation, (ActionLink{"9", "1"}));
  const auto none = parse_base(
      R"({"_links":{"confirmationBase":{"href":"https://x/D/controller/v1/a/confirmationBase"}}})");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->confirmation);
  EXPECT_TRUE(parse_base("{}"));
}

TEST(HawkbitDocuments, ReadsADeploymentOfSeveralChunks) {
  const auto deployment = parse_deployment(kDeployment);
  ASSERT_TRUE(deployment) << deployment.error().message;
  EXPECT_EQ(deployment->action, "17");
  EXPECT_EQ(deployment->download, Handling::forced);
  EXPECT_EQ(deployment->update, Handling::attempt);
  EXPECT_EQ(deployment->window, Window::available);
  ASSERT_EQ(deployment->chunks.size(), 2u);
  const Chunk& app = deployment->chunks[0];
  ASSERT_EQ(app.artifacts.size(), 1u);
  EXPECT_EQ(app.artifacts[0].url, "https://cdn.example/app.bin");
  EXPECT_EQ(app.artifacts[0].sha256, "51a8d5be14aab6aa9bafb4a6a2b6a5a3a1e0b3c7c9e3a2e5a0d7a5e2c3b5a1d9");
  EXPECT_EQ(app.metadata, (std::vector<std::pair<std::string, std::string>>{{"slot", "A"}}));
  EXPECT_EQ(deployment->chunks[1].artifacts[0].url, "http://hb.example/m.bin");
  EXPECT_EQ(deployment->chunks[1].artifacts[0].sha256, "");
}

TEST(HawkbitDocuments, ReadsAConsentLikeADeployment) {
  const auto consent = parse_deployment(
      R"({"id":"9","confirmation":{"download":"forced","update":"skip","maintenanceWindow":"unavailable",
          "chunks":[]}})");
  ASSERT_TRUE(consent) << consent.error().message;
  EXPECT_EQ(consent->update, Handling::skip);
  EXPECT_EQ(consent->window, Window::unavailable);
}

TEST(HawkbitDocuments, ReadsACancel) {
  const auto cancel = parse_cancel(R"({"id":"11","cancelAction":{"stopId":"5"}})");
  ASSERT_TRUE(cancel);
  EXPECT_EQ(cancel->id, "11");
  EXPECT_EQ(cancel->stop, "5");
}

TEST(HawkbitDocuments, RefusesWhatIsNotAsDocumented) {
  for (const char* wrong :
       {"", "[]", "null", R"({"config":{"polling":{"sleep":"5 minutes"}}})", R"({"config":[]})",
        R"({"_links":{"deploymentBase":{"href":"https://x/deploymentBase/..%2f..?c=1"}}})",
        R"({"_links":{"deploymentBase":{"href":"https://x/deploymentBase/17?c=1%0d%0aX: y"}}})",
        R"({"_links":{"cancelAction":{"href":7}}})"}) {
    EXPECT_FALSE(parse_base(wrong)) << wrong;
  }
  for (const char* wrong :
       {R"({"id":"17"})", R"({"id":"../1","deployment":{"download":"forced","update":"forced"}})",
        R"({"id":"17","deployment":{"download":"maybe","update":"forced"}})",
        R"({"id":"17","deployment":{"download":"forced","update":"forced","maintenanceWindow":"soon"}})",
        R"({"id":"17","deployment":{"download":"forced","update":"forced","chunks":[{"part":"os"}]}})",
        R"({"id":"17","deployment":{"download":"forced","update":"forced","chunks":[{"part":"os","name":"a",
            "version":"1","artifacts":[{"filename":"a","hashes":{"sha256":"12"},"size":1}]}]}})",
        R"({"id":"17","deployment":{"download":"forced","update":"forced","chunks":[{"part":"os","name":"a",
            "version":"1","artifacts":[{"filename":"a","hashes":{},"size":-1}]}]}})",
        R"({"id":"17","deployment":{"download":"forced","update":"forced","chunks":[{"part":"os","name":"a",
            "version":"1","artifacts":[{"filename":"a","hashes":{},"size":1,
            "_links":{"download":{"href":"file:///etc/passwd"}}}]}]}})"}) {
    EXPECT_FALSE(parse_deployment(wrong)) << wrong;
  }
  EXPECT_FALSE(parse_cancel(R"({"id":"1","cancelAction":{}})"));
  EXPECT_FALSE(parse_base(std::string(kMaxDocument + 1, ' ')));
  std::string many = R"({"id":"1","deployment":{"download":"forced","update":"forced","chunks":[)";
  for (std::size_t i = 0; i <= kMaxChunks; ++i) many += R"({"part":"os","name":"a","version":"1"},)";
  many.back() = ']';
  EXPECT_FALSE(parse_deployment(many + "}}"));
}

TEST(HawkbitDocuments, TakesTheWordsOfAnError) {
  EXPECT_EQ(error_message(R"({"exceptionClass":"x","message":"The action is not in canceling state."})"),
            "The action is not in canceling state.");
  EXPECT_EQ(error_message(R"({"error":"Unauthorized"})"), "Unauthorized");
  EXPECT_EQ(error_message("<html>"), "");
  EXPECT_EQ(error_message("{\"message\":\"a\\nb\"}"), "a b");
}

}  // namespace
}  // namespace otagate::hawkbit

// The poll, and what an update consists of.
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

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

// suricatta sends its attributes first and begins at its next poll; a cancel it sees at a poll only.
TEST_F(DdiTest, PollsAreCloseUntilTheDeviceIsAtWork) {
  offer(7);
  gateway_.offer.value.next_after_ms = 0;
  gateway_.offer.value.lease_ms = 1'800'000;
  EXPECT_NE(get("").body.find(R"("sleep":"00:00:10")"), std::string::npos);
  post("deploymentBase/7/feedback", saying("proceeding"));
  EXPECT_NE(get("").body.find(R"("sleep":"00:00:30")"), std::string::npos);
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

}  // namespace
}  // namespace otagate::plugins::devices

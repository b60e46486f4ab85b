#include "common/device_protocols/ddi/documents.hpp"

#include <gtest/gtest.h>

#include <set>

namespace otagate::plugins::devices::ddi {
namespace {

constexpr char kSha1[] = "0123456789abcdef0123456789abcdef01234567";
constexpr char kMd5[] = "0123456789abcdef0123456789abcdef";
constexpr char kSha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Place place() { return {"http://10.0.0.1:8080", "DEFAULT", "dev1"}; }

Artifact artifact() { return {"application", "app", "2.0", "app-2.0.swu", kSha1, kMd5, kSha256, 202240}; }

sdk::Offer offer() {
  sdk::Offer out;
  out.attempt = 7;
  out.parts.push_back({1, "application", "app", "2.0", kSha256, {}, 202240});
  return out;
}

TEST(DdiPoll, NothingToDo) {
  EXPECT_EQ(poll_document(place(), 300, {}), R"({"config":{"polling":{"sleep":"00:05:00"}},"_links":{}})");
}

TEST(DdiPoll, LinksAreWholeUrls) {
  PollLinks links;
  links.deployment = 7;
  links.tag = 99;
  links.config_data = true;
  EXPECT_EQ(
      poll_document(place(), 86399, links),
      R"({"config":{"polling":{"sleep":"23:59:59"}},"_links":{)"
      R"("deploymentBase":{"href":"http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/deploymentBase/7?c=99"},)"
      R"("configData":{"href":"http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/configData"}}})");
  links = {};
  links.cancel = 6;
  EXPECT_EQ(poll_document(place(), 5, links),
            R"({"config":{"polling":{"sleep":"00:00:05"}},"_links":{)"
            R"("cancelAction":{"href":"http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/cancelAction/6"}}})");
  links = {};
  links.confirmation = 8;
  EXPECT_EQ(poll_document(place(), 3661, links),
            R"({"config":{"polling":{"sleep":"01:01:01"}},"_links":{"confirmationBase":)"
            R"({"href":"http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/confirmationBase/8?c=0"}}})");
}

TEST(DdiPoll, AnIdStaysOneSegment) {
  PollLinks links;
  links.config_data = true;
  const Place odd("http://gw", "DEFAULT", "a/b\" ?");
  EXPECT_EQ(poll_document(odd, 300, links),
            R"({"config":{"polling":{"sleep":"00:05:00"}},"_links":{"configData":)"
            R"({"href":"http://gw/DEFAULT/controller/v1/a%2Fb%22%20%3F/configData"}}})");
}

TEST(DdiPoll, SleepIsRoundedUpAndBounded) {
  sdk::Offer none;
  EXPECT_EQ(sleep_seconds(none, false), 300U);
  none.next_after_ms = 1;
  EXPECT_EQ(sleep_seconds(none, false), 5U);
  none.next_after_ms = 60'001;
  EXPECT_EQ(sleep_seconds(none, false), 61U);
  none.next_after_ms = ~std::uint64_t{0};
  EXPECT_EQ(sleep_seconds(none, false), 86399U);
  // With an offer the lease has to be kept.
  sdk::Offer some = offer();
  some.lease_ms = 40'000;
  EXPECT_EQ(sleep_seconds(some, true), 20U);
  some.lease_ms = 86'400'000;
  EXPECT_EQ(sleep_seconds(some, true), 30U);
  EXPECT_EQ(sleep_seconds(some, false), 10U);
  some.next_after_ms = 50'000;
  EXPECT_EQ(sleep_seconds(some, true), 50U);
}

TEST(DdiDeployment, IsHawkbitsDocument) {
  EXPECT_EQ(
      deployment_document(place(), 7, "deployment", false, {artifact()}),
      R"({"id":"7","deployment":{"download":"forced","update":"forced","chunks":[)"
      R"({"part":"os","version":"2.0","name":"app","artifacts":[{"filename":"app-2.0.swu","hashes":)"
      R"({"sha1":"0123456789abcdef0123456789abcdef01234567","md5":"0123456789abcdef0123456789abcdef",)"
      R"("sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"size":202240,"_links":)"
      R"({"download-http":{"href":"http://10.0.0.1:8080/blobs/sha256/)"
      R"(0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"md5sum-http":{"href":)"
      R"("http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/softwaremodules/os/artifacts/app-2.0.swu.MD5SUM"}}}]}]}})");
}

TEST(DdiDeployment, DownloadOnlyIsNotInstalled) {
  const auto text = deployment_document(place(), 7, "confirmation", true, {});
  EXPECT_EQ(text, R"({"id":"7","confirmation":{"download":"forced","update":"skip","chunks":[]}})");
}

TEST(DdiDeployment, LinksOverTlsHaveNoSuffix) {
  const auto text = artifacts_document({"https://gw", "DEFAULT", "d"}, artifact());
  EXPECT_NE(text.find(R"("download":{"href":"https://gw/blobs/sha256/)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("md5sum":{)"), std::string::npos) << text;
  EXPECT_EQ(text.find("-http"), std::string::npos) << text;
}

TEST(DdiDeployment, PartsAreHawkbitsOrTheComponents) {
  EXPECT_EQ(part_name("application"), "os");
  EXPECT_EQ(part_name(""), "os");
  EXPECT_EQ(part_name("modem"), "modem");
}

TEST(DdiCancel, NamesTheAction) {
  EXPECT_EQ(cancel_document(7), R"({"id":"7","cancelAction":{"stopId":"7"}})");
}

TEST(DdiConfirmationBase, SaysWhetherItAsks) {
  EXPECT_EQ(confirmation_base_document(place(), true),
            R"({"autoConfirm":{"active":true},"_links":{"deactivateAutoConfirm":{"href":)"
            R"("http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/confirmationBase/deactivateAutoConfirm"}}})");
  EXPECT_EQ(confirmation_base_document(place(), false),
            R"({"autoConfirm":{"active":false},"_links":{"activateAutoConfirm":{"href":)"
            R"("http://10.0.0.1:8080/DEFAULT/controller/v1/dev1/confirmationBase/activateAutoConfirm"}}})");
}

TEST(DdiFileName, EndsAsTheBytesSay) {
  std::string archive = "070701" + std::string(104, '0') + "sw-description";
  EXPECT_EQ(ending_of(archive), ".swu");
  archive[5] = '2';
  EXPECT_EQ(ending_of(archive), ".swu");
  EXPECT_EQ(ending_of("070701" + std::string(104, '0') + "etc/passwd"), ".bin");
  EXPECT_EQ(ending_of("070701"), ".bin");
  EXPECT_EQ(ending_of("hsqs\1\2"), ".raucb");
  EXPECT_EQ(ending_of(""), ".bin");
}

TEST(DdiFileName, IsOneSafeSegment) {
  sdk::OfferPart part;
  part.name = "vendor/app";
  part.version = "1.0 \"x\"\n";
  EXPECT_EQ(file_name(part, ".swu"), "vendor_app-1.0__x__.swu");
  EXPECT_FALSE(file_name_given(part));
  part.params = {{"filename", ""}};
  EXPECT_FALSE(file_name_given(part));
  part.params = {{"x", "y"}, {"filename", "../up.swu"}};
  EXPECT_EQ(file_name_given(part), ".._up.swu");
}

TEST(DdiOfferTag, ChangesWithWhatIsOffered) {
  std::set<std::uint32_t> tags;
  const auto add = [&](const sdk::Offer& one) { EXPECT_TRUE(tags.insert(offer_tag(one)).second); };
  add(offer());
  EXPECT_TRUE(tags.contains(offer_tag(offer())));
  auto other = offer();
  other.attempt = 8;
  add(other);
  other = offer();
  other.parts[0].version = "2.1";
  add(other);
  other = offer();
  other.parts[0].sha256[0] = 'f';
  add(other);
  other = offer();
  other.download_only = true;
  add(other);
  other = offer();
  other.parts.push_back(other.parts[0]);
  add(other);
}

}  // namespace
}  // namespace otagate::plugins::devices::ddi

#include "azure/sas.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "azure/connection_string.hpp"
#include "common/http_client/url.hpp"

namespace otagate::azure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string key() {
  return *decode_account_key(
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");
}

constexpr std::int64_t kExpires = 1770091506;  // 2026-02-03T04:05:06Z
const BlobSas kBlob{"myaccount", "mycontainer", "a b/ü.bin", kExpires, true};

TEST(ServiceSas, SignsTheLinesOfVersion20201206) {
  EXPECT_EQ(service_string_to_sign(kBlob),
            "r\n\n2026-02-03T04:05:06Z\n/blob/myaccount/mycontainer/a b/ü.bin\n\n\nhttps\n2021-12-02\nb\n\n\n"
            "\n\n\n\n");
}

// What azure-storage-blob makes for the same blob, permission, end and version.
TEST(ServiceSas, IsThatOfMicrosoftsClient) {
  EXPECT_EQ(
      service_sas(kBlob, key()),
      "se=2026-02-03T04%3A05%3A06Z&sig=HUk6eumAWFMCpWkXCiw%2BBzICgfT2XYeYd5XNaGJN%2FFw%3D&sp=r&spr=https&"
      "sr=b&sv=2021-12-02");
  EXPECT_EQ(service_sas({"myaccount", "mycontainer", "plain", kExpires, false}, key()),
            "se=2026-02-03T04%3A05%3A06Z&sig=WGqA3nEHioLQFFjJTgy7oSttUMSEKRYCQt6mDk%2FtLtc%3D&sp=r&sr=b&"
            "sv=2021-12-02");
}

TEST(DelegationSas, SignsWhoTheKeyIsOf) {
  const DelegationKey delegation{"the-oid",    "the-tid", "2026-02-01T00:00:00Z", "2026-02-05T00:00:00Z", "b",
                                 "2021-12-02", key()};
  EXPECT_EQ(delegation_string_to_sign(kBlob, delegation),
            "r\n\n2026-02-03T04:05:06Z\n/blob/myaccount/mycontainer/a b/ü.bin\nthe-oid\nthe-tid\n"
            "2026-02-01T00:00:00Z\n2026-02-05T00:00:00Z\nb\n2021-12-02\n\n\n\n\nhttps\n2021-12-02\nb\n\n\n"
            "\n\n\n\n");
  const std::string query = delegation_sas(kBlob, delegation);
  for (const char* part :
       {"skoid=the-oid", "sktid=the-tid", "skt=2026-02-01T00%3A00%3A00Z", "ske=2026-02-05T00%3A00%3A00Z",
        "sks=b", "skv=2021-12-02", "sp=r", "sr=b", "sig="}) {
    EXPECT_THAT(query, HasSubstr(part));
  }
  EXPECT_THAT(query, Not(HasSubstr(common::percent_encode(key()))));
}

}  // namespace
}  // namespace otagate::azure

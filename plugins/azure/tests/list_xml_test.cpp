#include "azure/list_xml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "otagate/storage.h"

namespace otagate::azure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

struct Parsed {
  std::vector<ListedBlob> blobs;
  common::Outcome<PageEnd> end;
};

Parsed parse(std::string xml, std::size_t stop_after = SIZE_MAX) {
  std::vector<ListedBlob> blobs;
  auto end = parse_list(xml, [&](ListedBlob blob) {
    blobs.push_back(std::move(blob));
    return blobs.size() < stop_after;
  });
  return {std::move(blobs), std::move(end)};
}

std::string page(const std::string& blobs, const std::string& marker = "") {
  return "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults "
         "ServiceEndpoint=\"https://a\" ContainerName=\"c\"><Blobs>" +
         blobs + "</Blobs><NextMarker>" + marker + "</NextMarker></EnumerationResults>";
}

std::string blob(const std::string& name, const std::string& more = "", const std::string& properties = "") {
  return "<Blob><Name>" + name + "</Name><Properties><Etag>0x8D</Etag><Content-Length>5</Content-Length>" +
         properties + "</Properties>" + more + "</Blob>";
}

std::vector<std::string> names(const Parsed& parsed) {
  std::vector<std::string> out;
  for (const ListedBlob& one : parsed.blobs) out.push_back(one.name);
  return out;
}

TEST(ParseList, ReadsAPage) {
  const Parsed parsed =
      parse(page("<BlobPrefix><Name>folder/</Name></BlobPrefix>" +
                     blob("a &amp; b/ü.bin",
                          "<Metadata><Name>probe</Name><version>1.2</version><x-ms-invalid-name>a-b"
                          "</x-ms-invalid-name></Metadata><OrMetadata/>"
                          "<Tags><TagSet><Tag><Key>NAME</Key><Value>loses</Value></Tag>"
                          "<Tag><Key>type</Key><Value>esp32</Value></Tag></TagSet></Tags>",
                          "<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified>"),
                 "next/1!"));
  ASSERT_TRUE(parsed.end) << parsed.end.error().message;
  EXPECT_EQ(parsed.end->next_marker, "next/1!");
  ASSERT_EQ(parsed.blobs.size(), 1u);
  const ListedBlob& one = parsed.blobs[0];
  EXPECT_EQ(one.name, "a & b/ü.bin");
  EXPECT_EQ(one.etag, "0x8D");
  EXPECT_EQ(one.size, 5u);
  EXPECT_EQ(one.modified_ms, 784111777000);
  EXPECT_THAT(one.metadata,
              ElementsAre(Pair("name", "probe"), Pair("version", "1.2"), Pair("type", "esp32")));
}

TEST(ParseList, LeavesOutWhatIsNoBlobOfItsOwn) {
  EXPECT_THAT(names(parse(page(blob("old", "<Snapshot>2026-01-01T00:00:00.0000000Z</Snapshot>") +
                               blob("deleted", "<Deleted>true</Deleted>") +
                               blob("version", "<VersionId>2026-01-01T00:00:00.0000000Z</VersionId>") +
                               blob("current",
                                    "<VersionId>2026-01-02T00:00:00.0000000Z</VersionId>"
                                    "<IsCurrentVersion>true</IsCurrentVersion>") +
                               blob("placeholder", "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>") +
                               blob("directory", "", "<ResourceType>directory</ResourceType>") +
                               blob("file", "", "<ResourceType>file</ResourceType>") + blob("marker/") +
                               "<Blob><Name>uncommitted</Name><Properties><Content-Length>0</Content-Length>"
                               "</Properties></Blob>"))),
              ElementsAre("current", "file"));
}

TEST(ParseList, DecodesNamesThatXmlCannotHold) {
  EXPECT_THAT(names(parse(page("<Blob><Name Encoded=\"true\">a%EF%BF%BEb</Name><Properties><Etag>e</Etag>"
                               "</Properties></Blob>"))),
              ElementsAre("a\xEF\xBF\xBE"
                          "b"));
}

TEST(ParseList, CountsNamesThatCannotBeUsed) {
  const Parsed parsed = parse(page(blob("") + blob(std::string(1025, 'x')) +
                                   "<Blob><Name Encoded=\"true\">a%00b</Name><Properties><Etag>e</Etag>"
                                   "</Properties></Blob>" +
                                   blob("a/../b") + blob(".") + blob("\xFF") + blob("..good/...")));
  EXPECT_THAT(names(parsed), ElementsAre("..good/..."));
  EXPECT_EQ(parsed.end->unusable, 6u);
}

TEST(ParseList, BoundsTheMetadata) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "<m" + std::to_string(i) + ">v</m" + std::to_string(i) + ">";
  const Parsed parsed =
      parse(page(blob("many", "<Metadata>" + many + "</Metadata>") +
                 blob("large", "<Metadata><a>" + std::string(20'000, 'x') + "</a></Metadata>")));
  EXPECT_EQ(parsed.blobs.at(0).metadata.size(), 64u);
  EXPECT_THAT(parsed.blobs.at(1).metadata, IsEmpty());
}

TEST(ParseList, StopsWhenToldSo) {
  EXPECT_THAT(names(parse(page(blob("a") + blob("b") + blob("c")), 2)), ElementsAre("a", "b"));
}

TEST(ParseList, SaysThatItIsNoBlobService) {
  for (const char* text : {"", "<html><body/></html>", "{}", "<EnumerationResults>"}) {
    const Parsed parsed = parse(text);
    ASSERT_FALSE(parsed.end) << text;
    EXPECT_EQ(parsed.end.error().status, OTAGATE_PERMANENT);
    EXPECT_THAT(parsed.end.error().message, HasSubstr("'endpoint'"));
  }
}

TEST(ParseList, ExpandsNoEntitiesOfADoctypeAndSurvivesDepth) {
  EXPECT_THAT(
      names(parse("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><EnumerationResults><Blobs>" +
                  blob("&e;") + "</Blobs></EnumerationResults>")),
      ElementsAre("&e;"));
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse(deep).end);
}

TEST(ParseError, ReadsTheCodeAndTheFirstLine) {
  const ErrorDocument error = parse_error(
      "\xEF\xBB\xBF<?xml version=\"1.0\" "
      "encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server "
      "failed to authenticate the "
      "request.\nRequestId:x\nTime:y</Message><AuthenticationErrorDetail>Signature not "
      "valid in the specified time frame: Start [a]</AuthenticationErrorDetail></Error>");
  EXPECT_EQ(error.code, "AuthenticationFailed");
  EXPECT_EQ(error.message, "Server failed to authenticate the request.");
  EXPECT_TRUE(error.out_of_time);
  for (const char* text : {"", "<html/>", "<Error><Code>cut", "plain"}) EXPECT_EQ(parse_error(text).code, "");
}

TEST(ParseDelegationKey, WantsAllOfIt) {
  const std::string good =
      "<UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid><SignedStart>s</SignedStart>"
      "<SignedExpiry>e</SignedExpiry><SignedService>b</SignedService><SignedVersion>v</SignedVersion>"
      "<Value>Zm9v</Value></UserDelegationKey>";
  const auto key = parse_delegation_key(good);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->object_id, "o");
  EXPECT_EQ(key->value, "foo");
  for (const char* part : {"<SignedOid>o</SignedOid>", "<SignedExpiry>e</SignedExpiry>", "Zm9v"}) {
    std::string without = good;
    without.erase(without.find(part), std::string(part).size());
    EXPECT_FALSE(parse_delegation_key(without)) << part;
  }
  EXPECT_FALSE(parse_delegation_key("no xml"));
}

}  // namespace
}  // namespace otagate::azure

#include "s3/list_xml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "otagate/storage.h"

namespace otagate::s3 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Parsed {
  std::vector<ListedObject> objects;
  common::Outcome<PageEnd> end = PageEnd{};
};

Parsed parse(std::string xml, bool versions = false) {
  Parsed parsed;
  parsed.end = parse_list(xml, versions, [&](ListedObject object) {
    parsed.objects.push_back(std::move(object));
    return true;
  });
  return parsed;
}

std::vector<std::string> keys(const Parsed& parsed) {
  std::vector<std::string> found;
  for (const ListedObject& object : parsed.objects) found.push_back(object.key);
  return found;
}

TEST(ParseList, ReadsAPage) {
  const Parsed parsed = parse(R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>
  <IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
  <Contents><Key>a+b/c%2Bd%25/%C3%BC.bin</Key><LastModified>2009-10-12T17:50:30.120Z</LastModified>
    <ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag><Size>1111</Size><StorageClass>STANDARD</StorageClass></Contents>
  <Contents><Key>folder/</Key><ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag><Size>0</Size></Contents>
  <Contents><Key>z%20z</Key><ETag>plain</ETag><Size>18446744073709551616</Size></Contents>
  <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>
</ListBucketResult>)");
  ASSERT_TRUE(parsed.end) << parsed.end.error().message;
  EXPECT_THAT(keys(parsed), ElementsAre("a b/c+d%/ü.bin", "z z"));
  EXPECT_EQ(parsed.objects[0].etag, "70ee1738b6b21e2c8a43f3a5ab0eee71");
  EXPECT_EQ(parsed.objects[0].size, 1111u);
  EXPECT_EQ(parsed.objects[0].modified_ms, 1255369830120);
  EXPECT_EQ(parsed.objects[1].etag, "plain");
  EXPECT_EQ(parsed.objects[1].size, OTAGATE_SIZE_UNKNOWN);
  EXPECT_TRUE(parsed.end->truncated);
  EXPECT_EQ(parsed.end->next_token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");
  EXPECT_EQ(parsed.end->last_key, "z z");
}

TEST(ParseList, ReadsAPageOfVersions) {
  const Parsed parsed = parse(R"(<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>b</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <NextKeyMarker>a+b.bin</NextKeyMarker><NextVersionIdMarker>3/L4kqtJ</NextVersionIdMarker>
  <Version><Key>a+b.bin</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><ETag>"e2"</ETag><Size>5</Size></Version>
  <Version><Key>a+b.bin</Key><VersionId>3/L4kqtJ</VersionId><IsLatest>false</IsLatest><ETag>"e1"</ETag><Size>4</Size></Version>
  <DeleteMarker><Key>gone.bin</Key><VersionId>d</VersionId><IsLatest>true</IsLatest></DeleteMarker>
</ListVersionsResult>)",
                              true);
  ASSERT_TRUE(parsed.end) << parsed.end.error().message;
  EXPECT_THAT(keys(parsed), ElementsAre("a b.bin", "a b.bin"));
  EXPECT_EQ(parsed.objects[0].version, "");
  EXPECT_EQ(parsed.objects[1].version, "3/L4kqtJ");
  EXPECT_EQ(parsed.end->next_key, "a b.bin");
  EXPECT_EQ(parsed.end->next_version, "3/L4kqtJ");
  EXPECT_FALSE(parse("<ListBucketResult/>", true).end);
}

TEST(ParseList, DecodesOnlyWhatTheServerSaysItEncoded) {
  EXPECT_THAT(
      keys(parse("<ListBucketResult><Contents><Key>a+b%20c&amp;d</Key></Contents></ListBucketResult>")),
      ElementsAre("a+b%20c&d"));
}

TEST(ParseList, TakesTheEncodingEvenWhenItIsSaidLast) {
  EXPECT_THAT(
      keys(parse("<ListBucketResult><Contents><Key>a+b</Key></Contents><EncodingType>url</EncodingType>"
                 "</ListBucketResult>")),
      ElementsAre("a b"));
}

TEST(ParseList, LeavesOutKeysThatCannotBeUsed) {
  const std::string longest(1024, 'k');
  const Parsed parsed =
      parse("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>" + longest +
            "</Key></Contents><Contents><Key>" + longest +
            "k</Key></Contents><Contents><Key>a%00b</Key></Contents><Contents/></ListBucketResult>");
  EXPECT_THAT(keys(parsed), ElementsAre(longest));
  EXPECT_EQ(parsed.end->unusable, 3u);
}

TEST(ParseList, ReadsNamesWithANamespacePrefix) {
  EXPECT_THAT(
      keys(parse("<s3:ListBucketResult><s3:Contents><s3:Key>k</s3:Key></s3:Contents></s3:ListBucketResult>")),
      ElementsAre("k"));
}

TEST(ParseList, StopsWhenToldSo) {
  std::string xml =
      "<ListBucketResult><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></"
      "ListBucketResult>";
  int count = 0;
  ASSERT_TRUE(parse_list(xml, false, [&](ListedObject) { return ++count > 1; }));
  EXPECT_EQ(count, 1);
}

TEST(ParseList, SaysThatItIsNoS3Server) {
  for (const char* xml : {"", "not xml", "<html><body>hello</body></html>", "<ListBucketResult><Contents>",
                          "{\"json\": true}"}) {
    const Parsed parsed = parse(xml);
    ASSERT_FALSE(parsed.end) << xml;
    EXPECT_EQ(parsed.end.error().status, OTAGATE_PERMANENT);
    EXPECT_THAT(parsed.end.error().message, HasSubstr("endpoint"));
  }
}

TEST(ParseList, ExpandsNoEntitiesOfADoctype) {
  const Parsed parsed = parse(
      "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\"><!ENTITY l \"lol\">]>"
      "<ListBucketResult><Contents><Key>&e;&l;</Key></Contents></ListBucketResult>");
  EXPECT_THAT(keys(parsed), ElementsAre("&e;&l;"));
}

TEST(ParseList, SurvivesDeepNesting) {
  std::string xml;
  for (int i = 0; i < 500'000; ++i) xml += "<a>";
  EXPECT_FALSE(parse(xml).end);
  std::string closed = "<ListBucketResult>" + xml;
  for (int i = 0; i < 500'000; ++i) closed += "</a>";
  EXPECT_TRUE(parse(closed + "</ListBucketResult>").end);
}

TEST(ParseError, ReadsCodeAndPlace) {
  const ErrorDocument error = parse_error(
      "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message>use\r\nthat</Message>"
      "<Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint><Region>eu-west-1</Region></Error>");
  EXPECT_EQ(error.code, "PermanentRedirect");
  EXPECT_EQ(error.message, "use that");
  EXPECT_EQ(error.endpoint, "b.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(error.region, "eu-west-1");
}

TEST(ParseError, OfSomethingElseIsEmpty) {
  for (const char* text : {"", "<html/>", "Service Unavailable", "<Error><Code>cut"}) {
    EXPECT_EQ(parse_error(text).code, "") << text;
  }
}

}  // namespace
}  // namespace otagate::s3

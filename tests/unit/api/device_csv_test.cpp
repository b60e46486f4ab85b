#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include "api/device_edits.hpp"

namespace otagate::api {
namespace {

using Pairs = std::map<std::string, std::string>;

TEST(ParseDeviceCsv, ReadsEveryColumnInAnyOrder) {
  const auto edits = parse_device_csv(
      "\xEF\xBB\xBFtags,id,approval,version.application,attribute.site,type,version.modem\r\n"
      "lab pilot,sensor 1,approved,1.0.0,\"Hall 3, \"\"north\"\"\r\nleft\",sensor,\r\n"
      ",ger\xC3\xA4t/2,,,,,\r\n");
  ASSERT_TRUE(edits) << edits.error().message();
  ASSERT_EQ(edits->size(), 2u);
  const rollout::DeviceEdit& one = edits->front();
  EXPECT_EQ(one.id, "sensor 1");
  EXPECT_EQ(one.type, "sensor");
  EXPECT_EQ(one.approval, rollout::Approval::approved);
  EXPECT_EQ(one.tags, (std::vector<std::string>{"lab", "pilot"}));
  EXPECT_EQ(one.versions, (Pairs{{"application", "1.0.0"}}));
  EXPECT_EQ(one.attributes, (Pairs{{"site", "Hall 3, \"north\"\r\nleft"}}));
  const rollout::DeviceEdit& other = edits->back();
  EXPECT_EQ(other.id, "ger\xC3\xA4t/2");
  EXPECT_FALSE(other.type || other.approval || other.tags || other.versions || other.attributes)
      << "an empty cell sets nothing";
}

TEST(ParseDeviceCsv, SaysWhichRowIsWrongAndWhatToWrite) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "header"},
      {"type,tags\na,b\n", "row 1: the column id is missing"},
      {"id,colour\na,red\n", "row 1: column colour"},
      {"id,id\na,b\n", "row 1: column id is there twice"},
      {"id,version.\na,b\n", "row 1: column version."},
      {"id,type\na,b,c\n", "row 2: more cells"},
      {"id,type\na\n", "row 2: fewer cells"},
      {"id,type\na,b\n,c\n", "row 3: id"},
      {"id\na\na\n", "row 3: device a is there twice"},
      {"id,approval\na,yes\n", "row 2: approval: write pending, approved or blocked"},
      {"id,type\na,b\"c\n", "row 2: a quote"},
      {"id,type\na,\"b\n", "row 2: a quote"},
      {"id,type\na,\"b\"c\n", "row 2: a quote"},
  };
  for (const auto& [text, expected] : cases) {
    const auto edits = parse_device_csv(text);
    ASSERT_FALSE(edits) << text;
    EXPECT_EQ(edits.error().code(), Code::invalid);
    EXPECT_NE(edits.error().message().find(expected), std::string::npos)
        << text << " -> " << edits.error().message();
  }
  EXPECT_FALSE(parse_device_csv("id,type\na," + std::string(kMaxDeviceText + 1, 'x') + "\n"));
}

TEST(ParseDeviceCsv, TakesTenThousandDevicesAndNotOneMore) {
  std::string text = "id\n";
  for (std::size_t i = 0; i < kMaxEdits; ++i) text += "d" + std::to_string(i) + "\n";
  const auto edits = parse_device_csv(text);
  ASSERT_TRUE(edits) << edits.error().message();
  EXPECT_EQ(edits->size(), kMaxEdits);
  EXPECT_FALSE(parse_device_csv(text + "more\n"));
}

TEST(ToCsv, ComesBackAsItWas) {
  rollout::DeviceView plain;
  plain.id = "sensor-1";
  plain.type = "sensor";
  plain.tags = {"lab", "pilot"};
  plain.versions = {{"application", "1.0.0"}};
  plain.transport = "http";
  plain.address = "[fe80::1]:80";
  plain.first_seen_ms = 5;
  rollout::DeviceView hard;
  hard.id = "a,b \"c\"";
  hard.approval = rollout::Approval::blocked;
  // Spaces at the ends, a line break, and what a spreadsheet would calculate.
  hard.attributes = {{"edge", " x "},    {"lines", "a\nb"}, {"sum", "=1+2"},
                     {"sum2", "''=1+2"}, {"cold", "-4.5"},  {"quoted", "'x"}};
  const std::string csv = to_csv({plain, hard});
  EXPECT_NE(csv.find("'=1+2"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",-4.5"), std::string::npos) << csv;
  const auto edits = parse_device_csv(csv);
  ASSERT_TRUE(edits) << edits.error().message();
  ASSERT_EQ(edits->size(), 2u);
  EXPECT_EQ(edits->front().id, plain.id);
  EXPECT_EQ(edits->front().tags, plain.tags);
  EXPECT_EQ(edits->front().versions, plain.versions);
  EXPECT_EQ(edits->front().transport, plain.transport);
  EXPECT_EQ(edits->front().address, plain.address);
  EXPECT_FALSE(edits->back().transport || edits->back().address);
  EXPECT_FALSE(edits->front().attributes);
  EXPECT_EQ(edits->back().id, hard.id);
  EXPECT_EQ(edits->back().approval, hard.approval);
  EXPECT_EQ(edits->back().attributes, hard.attributes);
}

TEST(ParseDeviceEdits, TakesOneDeviceOrAList) {
  const auto one = parse_device_edits(
      R"({"id":"a","type":"t","tags":["x"],"versions":{"modem":"2"},"approval":null,"address":"10.0.0.7","transport":"coap"})");
  ASSERT_TRUE(one) << one.error().message();
  ASSERT_EQ(one->size(), 1u);
  EXPECT_EQ(one->front().type, "t");
  EXPECT_EQ(one->front().transport, "coap");
  EXPECT_EQ(one->front().address, "10.0.0.7");
  EXPECT_FALSE(one->front().approval) << "null is the same as absent";
  EXPECT_EQ(one->front().versions, (Pairs{{"modem", "2"}}));
  const auto list = parse_device_edits(
      R"({"items":[{"id":"a"},{"id":"b","last_seen_ms":5,"attempt":null}],"next":null,"devices":2})");
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->size(), 2u);
}

TEST(ParseDeviceEdits, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "JSON object"},
      {"[]", "JSON object"},
      {R"({"type":"t"})", "id: name the device"},
      {R"({"id":5})", "id: write a string"},
      {R"({"id":"a","colour":"red"})", "colour: a device has"},
      {R"({"id":"a","tags":"x"})", "tags: write a list"},
      {R"({"id":"a","tags":["x y"]})", "no spaces"},
      {R"({"id":"a","versions":{"m":1}})", "versions.m: write a string"},
      {R"({"id":"a","approval":"yes"})", "approval: write pending, approved or blocked"},
      {R"({"items":[{"id":"a"},{"id":"b","tags":5}]})", "items[1]: tags"},
      {R"({"items":[{"id":"a"},{"id":"a"}]})", "device a is there twice"},
      {R"({"items":[5]})", "items[0]: write a JSON object"},
      {R"({"items":[],"policy":1})", "policy: beside items"},
  };
  for (const auto& [text, expected] : cases) {
    const auto edits = parse_device_edits(text);
    ASSERT_FALSE(edits) << text;
    EXPECT_NE(edits.error().message().find(expected), std::string::npos)
        << text << " -> " << edits.error().message();
  }
}

}  // namespace
}  // namespace otagate::api

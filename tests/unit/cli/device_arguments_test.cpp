#include "device_arguments.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace otagate::cli {
namespace {

TEST(DevicePaths, AreEncoded) {
  EXPECT_EQ(device_path("a/b c\xC3\xA4", "/token"), "/api/v1/devices/a%2Fb%20c%C3%A4/token");
  DeviceFilter filter;
  filter.prefix = "hall 1/";
  filter.component = "modem";
  EXPECT_EQ(devices_path(filter), "/api/v1/devices?limit=1000&prefix=hall%201%2F&component=modem");
}

TEST(DeviceEdit, SetsWhatWasSaid) {
  DeviceArguments arguments;
  arguments.id = "a";
  ASSERT_TRUE(device_edit(arguments));
  EXPECT_EQ(*device_edit(arguments), boost::json::parse(R"({"id":"a"})").as_object());
  arguments.type = "sensor";
  arguments.tags = {"x", "y"};
  arguments.attributes = {"site=hall=3"};
  arguments.versions = {"1.0.0", "modem=2"};
  const auto edit = device_edit(arguments);
  ASSERT_TRUE(edit) << edit.error().message();
  EXPECT_EQ(*edit,
            boost::json::parse(R"({"id":"a","type":"sensor","tags":["x","y"],"attributes":{"site":"hall=3"},
    "versions":{"application":"1.0.0","modem":"2"}})")
                .as_object());
  arguments.versions = {"1.0.0", "application=2"};
  EXPECT_FALSE(device_edit(arguments)) << "twice";
  arguments.versions.clear();
  arguments.attributes = {"site"};
  EXPECT_FALSE(device_edit(arguments)) << "no value";
}

TEST(TableFormat, IsWhatWasAskedForOrTheNameTells) {
  EXPECT_EQ(table_format("", "x.csv").value_or(""), "csv");
  EXPECT_EQ(table_format("", "x.json").value_or(""), "json");
  EXPECT_EQ(table_format("json", "x.csv").value_or(""), "json");
  EXPECT_FALSE(table_format("", "-"));
}

TEST(EditedTags, AddsAndTakesOff) {
  const boost::json::value tags = boost::json::parse(R"(["a","b","c"])");
  EXPECT_EQ(edited_tags(tags.as_array(), {"c", "d"}, {"a", "x"}),
            boost::json::parse(R"(["b","c","d"])").as_array());
}

}  // namespace
}  // namespace otagate::cli

#include "common/catalog_json/catalog_json.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace otagate::plugins {
namespace {

sdk::Firmware firmware(std::string name, std::string version, std::string type) {
  sdk::Firmware out;
  out.name = std::move(name);
  out.version = std::move(version);
  out.type = std::move(type);
  out.store = "demo";
  return out;
}

TEST(FirmwarePath, EscapesWhatAUrlCannotCarry) {
  EXPECT_EQ(firmware_path(firmware("a b/c", "1.0.0+7", "")), "/firmware/a%20b%2Fc/1.0.0%2B7");
  EXPECT_EQ(firmware_path(firmware("\xc3\xbc", "1", "t?x")), "/firmware/%C3%BC/1/t%3Fx");
}

TEST(NextPagePath, RepeatsWhatSelectsThePage) {
  EXPECT_EQ(next_page_path({}, ""), "");
  EXPECT_EQ(next_page_path({}, "a b"), "/firmware?cursor=a%20b");
  EXPECT_EQ(next_page_path({.name = "n&", .type = "t", .store = "s", .limit = 7}, "c"),
            "/firmware?name=n%26&type=t&store=s&limit=7&cursor=c");
}

TEST(CatalogJson, SaysNullForWhatIsNotKnown) {
  const auto body = boost::json::parse(catalog_json({firmware("app", "1.0.0", "")}, ""));
  const auto& item = body.at("items").at(0);
  EXPECT_EQ(item.at("name").as_string(), "app");
  EXPECT_TRUE(item.at("type").is_null());
  EXPECT_TRUE(item.at("size").is_null());
  EXPECT_TRUE(item.at("sha256").is_null());
  EXPECT_TRUE(item.at("format").is_null());
  EXPECT_EQ(item.at("verified").as_string(), "none");
  EXPECT_EQ(item.at("url").as_string(), "/firmware/app/1.0.0");
  EXPECT_TRUE(body.at("next").is_null());
}

TEST(CatalogJson, NamesSizeDigestAndLevel) {
  auto known = firmware("app", "1.0.0", "sensor");
  known.size = 5'000'000'000;
  known.sha256 = std::string(64, 'a');
  known.verified = OTAGATE_VERIFIED_DIGEST;
  const auto body = boost::json::parse(catalog_json({known}, "/firmware?cursor=x"));
  const auto& item = body.at("items").at(0);
  EXPECT_EQ(item.at("size").to_number<std::uint64_t>(), 5'000'000'000U);
  EXPECT_EQ(item.at("sha256").as_string(), std::string(64, 'a'));
  EXPECT_EQ(item.at("verified").as_string(), "digest");
  EXPECT_EQ(body.at("next").as_string(), "/firmware?cursor=x");
}

TEST(CatalogJson, SurvivesAnUnknownVerificationLevel) {
  auto newer = firmware("app", "1.0.0", "");
  newer.verified = 99;
  EXPECT_EQ(boost::json::parse(catalog_json({newer}, "")).at("items").at(0).at("verified").as_string(),
            "none");
}

TEST(ChoicesJson, ListsEveryChoice) {
  const auto body = boost::json::parse(choices_json({firmware("app", "1", "a"), firmware("app", "1", "b")}));
  ASSERT_EQ(body.at("choices").as_array().size(), 2U);
  EXPECT_EQ(body.at("choices").at(1).at("url").as_string(), "/firmware/app/1/b");
}

}  // namespace
}  // namespace otagate::plugins

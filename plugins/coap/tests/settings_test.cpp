#include "settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace otagate::coap {
namespace {

using Value = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;

// A host that knows options and nothing else.
class SettingsTest : public testing::Test {
 protected:
  SettingsTest() {
    table_.size = sizeof(table_);
    table_.context = this;
    table_.option = [](void* self, otagate_instance, otagate_str path, otagate_value* out) {
      return static_cast<SettingsTest*>(self)->option(std::string(sdk::view(path)), *out);
    };
    options_["anonymous"] = true;
  }

  Settings settings() { return Settings::from(sdk::Host(&table_, 1)); }

  std::string refusal() {
    try {
      settings();
    } catch (const sdk::Failure& failure) {
      EXPECT_EQ(failure.status, OTAGATE_INVALID);
      return failure.message;
    }
    return "";
  }

  std::map<std::string, Value> options_;

 private:
  std::uint32_t option(const std::string& path, otagate_value& out) {
    const auto dot = path.rfind('.');
    const auto parent = dot == std::string::npos ? options_.end() : options_.find(path.substr(0, dot));
    if (parent != options_.end() && std::holds_alternative<std::vector<std::string>>(parent->second)) {
      out.kind = OTAGATE_VALUE_STRING;
      out.string =
          sdk::str(std::get<std::vector<std::string>>(parent->second)[std::stoul(path.substr(dot + 1))]);
      return OTAGATE_OK;
    }
    const auto it = options_.find(path);
    if (it == options_.end()) return OTAGATE_NOT_FOUND;
    if (const auto* text = std::get_if<std::string>(&it->second)) {
      out.kind = path == "max_block_by_type" ? OTAGATE_VALUE_TABLE : OTAGATE_VALUE_STRING;
      out.string = sdk::str(*text);
    } else if (const auto* number = std::get_if<std::int64_t>(&it->second)) {
      out.kind = OTAGATE_VALUE_INTEGER;
      out.integer = *number;
    } else if (const auto* flag = std::get_if<bool>(&it->second)) {
      out.kind = OTAGATE_VALUE_BOOLEAN;
      out.integer = *flag ? 1 : 0;
    } else {
      out.kind = OTAGATE_VALUE_LIST;
      out.integer = static_cast<std::int64_t>(std::get<std::vector<std::string>>(it->second).size());
    }
    return OTAGATE_OK;
  }

  otagate_host table_{};
};

TEST_F(SettingsTest, HasDefaults) {
  const auto made = settings();
  EXPECT_EQ(made.listen.text, "127.0.0.1:5683");
  EXPECT_EQ(made.max_szx, kMaxSzx);
  EXPECT_FALSE(made.stream);
  EXPECT_EQ(made.echo, Settings::Echo::kChallenge);
  EXPECT_EQ(made.wait_timeout, std::chrono::seconds(10));
}

TEST_F(SettingsTest, RefusesAListenerThatDoesNotSayAnonymous) {
  options_["anonymous"] = false;
  EXPECT_THAT(refusal(), testing::HasSubstr("anonymous = true"));
  options_.erase("anonymous");
  EXPECT_THAT(refusal(), testing::HasSubstr("anonymous = true"));
}

TEST_F(SettingsTest, RefusesDtlsForNow) {
  options_["dtls"] = true;
  EXPECT_THAT(refusal(), testing::HasSubstr("dtls"));
}

TEST_F(SettingsTest, ReadsBlockSizesByType) {
  options_["max_block"] = std::int64_t{512};
  options_["max_block_by_type"] = std::string("nrf\0esp\0", 8);
  options_["max_block_by_type.nrf"] = std::int64_t{64};
  options_["max_block_by_type.esp"] = std::int64_t{1024};
  const auto made = settings();
  EXPECT_EQ(made.max_szx, 5U);
  EXPECT_EQ(made.max_szx_of_type.at("nrf"), 2U);
  options_["max_block"] = std::int64_t{500};
  EXPECT_THAT(refusal(), testing::HasSubstr("max_block"));
}

TEST_F(SettingsTest, NamesAListenAddressThatIsNone) {
  options_["listen"] = std::string("localhost:5683");
  EXPECT_THAT(refusal(), testing::HasSubstr("localhost:5683"));
}

TEST_F(SettingsTest, ReplacesTheTrustedNetworks) {
  options_["trusted_networks"] = std::vector<std::string>{"203.0.113.0/24"};
  Peer stranger;
  stranger.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  EXPECT_FALSE(settings().trusted.contains(stranger));
  options_["trusted_networks"] = std::vector<std::string>{"203.0.113.0/24", "everybody"};
  EXPECT_THAT(refusal(), testing::HasSubstr("everybody"));
}

TEST_F(SettingsTest, ChecksBoundsWhereTheHostDidNot) {
  options_["max_sessions"] = std::int64_t{1};
  EXPECT_THAT(refusal(), testing::HasSubstr("max_sessions"));
}

}  // namespace
}  // namespace otagate::coap

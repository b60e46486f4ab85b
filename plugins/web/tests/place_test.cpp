#include "web/place.hpp"

#include <gtest/gtest.h>

#include "otagate/plugin.h"

namespace otagate::web {
namespace {

Place at(const std::string& url) {
  auto place = Place::make(url);
  if (!place) throw std::runtime_error(place.error().message);
  return std::move(*place);
}

std::string key_of(const Place& place, const std::string& reference) {
  const auto url = place.resolve(place.index_url(), reference);
  if (!url) return "refused: " + url.error().message;
  const std::string key = place.key_of(*url);
  const auto back = place.url_of(key);
  EXPECT_TRUE(back && *back == *url) << key;
  return key;
}

TEST(Place, KeysArePathsBelowTheListing) {
  const Place place = at("https://H.example:443/fw/index.json?v=1");
  EXPECT_EQ(place.index_url(), "https://h.example/fw/index.json?v=1");
  EXPECT_EQ(key_of(place, "a/b-1.0.bin"), "a/b-1.0.bin");
  EXPECT_EQ(key_of(place, "a%20b/%C3%BC%25.bin"), "a b/\xc3\xbc%.bin");
  EXPECT_EQ(key_of(place, "/fw/x"), "x");
  EXPECT_EQ(key_of(place, "https://h.example/fw/x#part"), "x");
}

TEST(Place, OtherPlacesAndSpellingsAreTheirUrls) {
  const Place place = at("https://h.example/fw/");
  for (const char* url :
       {"https://h.example/else/x", "https://cdn.example/fw/x", "https://h.example/fw/x?sig=1",
        "https://h.example/fw/a%2Fb", "https://h.example/fw/%41", "https://h.example/fw/a+b",
        "https://h.example/fw//x", "https://h.example/fw/x%00"}) {
    EXPECT_EQ(key_of(place, url), url);
  }
}

TEST(Place, RefusesWhatAListingMustNotLeadTo) {
  const Place place = at("https://h.example/fw/");
  for (const char* url :
       {"http://h.example/fw/x", "https://127.0.0.1/x", "https://localhost:8443/x", "https://[::1]/x",
        "https://u:p@h.example/x", "file:///etc/passwd", "ftp://h.example/x"}) {
    EXPECT_TRUE(key_of(place, url).starts_with("refused: ")) << url;
    EXPECT_FALSE(place.url_of(url)) << url;
  }
  // On this machine everything is this machine's.
  EXPECT_EQ(key_of(at("http://127.0.0.1:1/"), "http://127.0.0.1:2/x"), "http://127.0.0.1:2/x");
}

TEST(Place, KnowsItsOwnServer) {
  const Place place = at("https://h.example/fw/");
  EXPECT_TRUE(place.own("https://H.example:443/elsewhere"));
  for (const char* url : {"http://h.example/fw/", "https://h.example:444/fw/",
                          "https://h.example.evil.example/", "https://h.example@evil.example/", "no url"}) {
    EXPECT_FALSE(place.own(url)) << url;
  }
}

TEST(Place, KeysThatItNeverGaveLeadNowhere) {
  using std::string_literals::operator""s;
  const Place place = at("https://h.example/fw/");
  for (const std::string& key :
       {""s, ".."s, "../x"s, "a/../../x"s, "/etc/passwd"s, "./"s, "a//b"s, "a/"s, "x\0y"s}) {
    const auto url = place.url_of(key);
    ASSERT_FALSE(url) << key;
    EXPECT_EQ(url.error().status, OTAGATE_NOT_FOUND);
  }
}

TEST(Place, SaysWhatIsWrongWithTheOption) {
  for (const char* url : {"", "no url", "ftp://h/x", "https://u:p@h/x", "https://h/x#y"}) {
    const auto place = Place::make(url);
    ASSERT_FALSE(place) << url;
    EXPECT_EQ(place.error().status, OTAGATE_INVALID);
    EXPECT_NE(place.error().message.find("'index_url'"), std::string::npos) << place.error().message;
    EXPECT_EQ(place.error().message.find("u:p"), std::string::npos);
  }
}

TEST(Place, ChildrenOfAFolderAreEncoded) {
  EXPECT_EQ(child_url("https://h/fw/?x", "a b%2F?#.bin", false), "https://h/fw/a%20b%252F%3F%23.bin");
  EXPECT_EQ(child_url("https://h/fw/", "d", true), "https://h/fw/d/");
}

}  // namespace
}  // namespace otagate::web

#include "http/lru.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace otagate::http {
namespace {

TEST(Lru, FindsWhatWasPut) {
  Lru<int> map(3);
  map.put("a", 1);
  map.put("a", 2);
  ASSERT_NE(map.find("a"), nullptr);
  EXPECT_EQ(*map.find("a"), 2);
  EXPECT_EQ(map.size(), 1U);
  EXPECT_EQ(map.find("b"), nullptr);
  map.erase("a");
  map.erase("a");
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_EQ(map.size(), 0U);
}

TEST(Lru, TheLeastRecentlyUsedMakesRoom) {
  Lru<int> map(3);
  for (const char* key : {"a", "b", "c"}) map.put(key, 1);
  EXPECT_NE(map.find("a"), nullptr);
  map.put("b", 2);
  map.put("d", 1);
  EXPECT_EQ(map.find("c"), nullptr);
  for (const char* key : {"a", "b", "d"}) EXPECT_NE(map.find(key), nullptr) << key;
  EXPECT_EQ(map.size(), 3U);
}

// One that is in use stays however many others come and go.
TEST(Lru, AFloodOfOthersDoesNotPushOutWhatIsInUse) {
  Lru<std::shared_ptr<int>> map(16);
  const auto used = std::make_shared<int>(7);
  map.put("used", used);
  for (int i = 0; i < 10'000; ++i) {
    map.put("flood " + std::to_string(i), std::make_shared<int>(i));
    ASSERT_NE(map.find("used"), nullptr);
    ASSERT_LE(map.size(), 16U);
  }
  EXPECT_EQ(used.use_count(), 2);
}

}  // namespace
}  // namespace otagate::http

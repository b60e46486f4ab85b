#include "plugin/handles.hpp"

#include <gtest/gtest.h>

namespace otagate::plugin {
namespace {

TEST(Handles, AHandleThatIsOverNeverMeansAnotherThing) {
  HandleTable<int> table(8);
  const auto first = table.insert(1);
  EXPECT_NE(first, 0u);
  EXPECT_EQ(table.take(first), 1);
  const auto second = table.insert(2);
  EXPECT_NE(first, second);
  EXPECT_FALSE(table.find(first));
  EXPECT_FALSE(table.take(first));
  EXPECT_EQ(table.find(second), 2);
}

TEST(Handles, ZeroAndMadeUpHandlesAreUnknown) {
  HandleTable<int> table(8);
  table.insert(1);
  for (std::uint64_t handle : {0ull, 1ull, 0xffffffffull, 0x1'00000000ull, ~0ull})
    EXPECT_FALSE(table.find(handle)) << handle;
}

TEST(Handles, IsBounded) {
  HandleTable<int> table(2);
  const auto one = table.insert(1);
  EXPECT_NE(table.insert(2), 0u);
  EXPECT_EQ(table.insert(3), 0u);
  table.take(one);
  EXPECT_NE(table.insert(3), 0u);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.all().size(), 2u);
}

}  // namespace
}  // namespace otagate::plugin

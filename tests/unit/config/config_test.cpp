#include "config/config.hpp"

#include <gtest/gtest.h>

namespace otagate::config {
namespace {

TEST(StoreAssignments, MeanAllUnlessSomeAreNamed) {
  StoreAssignments all;
  EXPECT_TRUE(all.meant("d0", "", {}));
  StoreAssignments listed;
  listed.devices = {"d0"};
  EXPECT_TRUE(listed.meant("d0", "pump", {}));
  EXPECT_FALSE(listed.meant("d1", "pump", {"lab"}));
  StoreAssignments some;
  some.devices = {"odd"};
  some.types = {"pump", "valve"};
  some.tags = {"lab", "roof"};
  EXPECT_TRUE(some.meant("odd", "", {}));
  EXPECT_TRUE(some.meant("d0", "valve", {"north", "roof"}));
  EXPECT_FALSE(some.meant("d0", "valve", {"north"}));
  EXPECT_FALSE(some.meant("d0", "modem", {"lab"}));
  StoreAssignments tagged;
  tagged.tags = {"lab"};
  EXPECT_TRUE(tagged.meant("d0", "any", {"lab"}));
  EXPECT_FALSE(tagged.meant("d0", "any", {}));
}

}  // namespace
}  // namespace otagate::config

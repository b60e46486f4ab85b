#include "gateway/write_behind.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "state/settings.hpp"
#include "unit/state/support.hpp"

namespace otagate::gateway {
namespace {

using WriteBehinds = state::StateTest;

TEST_F(WriteBehinds, CallsBackInOrderOnceDurable) {
  std::vector<int> done;
  WriteBehind writes(*db_);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(writes.put([i](state::Writer& w) { return state::put_setting(w, "k", std::to_string(i)); },
                           [&done, i] { done.push_back(i); }));
  }
  EXPECT_GE(done.size(), 18U);  // few are ever under way
  ASSERT_TRUE(writes.finish());
  ASSERT_EQ(done.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(read([](state::Reader& r) { return state::get_setting(r, "k"); }), "19");
}

TEST_F(WriteBehinds, AnErrorEndsItAndIsKept) {
  std::vector<int> done;
  bool ran_after = false;
  WriteBehind writes(*db_);
  ASSERT_TRUE(writes.put([](state::Writer&) -> Result<void> { return {}; }, [&] { done.push_back(1); }));
  ASSERT_TRUE(writes.put([](state::Writer&) -> Result<void> { return fail(Code::invalid, "no"); },
                         [&] { done.push_back(2); }));
  ASSERT_FALSE(writes.finish());
  const auto after = writes.put(
      [&](state::Writer&) -> Result<void> {
        ran_after = true;
        return {};
      },
      [&] { done.push_back(3); });
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().message(), "no");
  EXPECT_EQ(writes.finish().error().code(), Code::invalid);
  EXPECT_EQ(done, std::vector<int>{1});
  EXPECT_FALSE(ran_after);
}

TEST_F(WriteBehinds, WaitsForAllInItsDestructor) {
  bool done = false;
  {
    WriteBehind writes(*db_);
    ASSERT_TRUE(
        writes.put([](state::Writer& w) { return state::put_setting(w, "k", "v"); }, [&] { done = true; }));
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace otagate::gateway

#include "state/settings.hpp"

#include <gmock/gmock.h>

#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using Settings = StateTest;

TEST_F(Settings, AreSetReplacedAndDeleted) {
  const auto get = [&] { return read([](Reader& r) { return get_setting(r, "k"); }); };
  EXPECT_EQ(get(), std::nullopt);
  write([](Writer& w) { return put_setting(w, "k", "a"); });
  write([](Writer& w) { return put_setting(w, "k", ""); });
  EXPECT_EQ(get(), "");
  write([](Writer& w) { return delete_setting(w, "k"); });
  EXPECT_EQ(get(), std::nullopt);
}

TEST_F(Settings, TimeFloorOnlyRises) {
  const auto floor = [&] { return read([](Reader& r) { return time_floor(r); }); };
  EXPECT_EQ(floor(), 0);
  write([](Writer& w) { return raise_time_floor(w, 1'700'000'000'000); });
  write([](Writer& w) { return raise_time_floor(w, 999); });  // less, though later by its letters
  EXPECT_EQ(floor(), 1'700'000'000'000);
  write([](Writer& w) { return raise_time_floor(w, 10'000'000'000'000); });
  EXPECT_EQ(floor(), 10'000'000'000'000);
}

}  // namespace
}  // namespace otagate::state

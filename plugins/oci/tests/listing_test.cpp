#include "oci/listing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "oci/parallel.hpp"

namespace otagate::oci {
namespace {

TEST(ListPosition, ComesBackAsItWas) {
  EXPECT_EQ(parse_position(""), ListPosition{});
  const ListPosition there{3, "/v2/a/tags/list?n=2&last=b", "1.0.0", 7, ""};
  EXPECT_EQ(parse_position(to_string(there)), there);
  for (const char* bad : {"x", "1", "1\n\n", "1\n\n\n", "1\n\n\n2\n", "-1\n\n\n0", "1\n\n\nx"}) {
    EXPECT_EQ(parse_position(bad), std::nullopt) << bad;
  }
}

TEST(InParallel, CallsEachOnceAndPassesOnTheFirstFailure) {
  std::atomic<int> calls[100] = {};
  in_parallel(100, 4, [&](std::size_t i) { ++calls[i]; });
  for (const auto& one : calls) EXPECT_EQ(one, 1);
  in_parallel(0, 4, [](std::size_t) { FAIL(); });
  EXPECT_THROW(in_parallel(10, 4,
                           [](std::size_t i) {
                             if (i == 3) throw std::runtime_error("3");
                           }),
               std::runtime_error);
}

}  // namespace
}  // namespace otagate::oci

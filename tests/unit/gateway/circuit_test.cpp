#include "gateway/circuit.hpp"

#include <gtest/gtest.h>

namespace otagate::gateway {
namespace {

TEST(Circuit, OpensAfterFailuresInARow) {
  Circuit circuit;
  EXPECT_FALSE(circuit.failed(0, 0));
  EXPECT_FALSE(circuit.failed(0, 0));
  circuit.succeeded();
  EXPECT_FALSE(circuit.failed(0, 0));
  EXPECT_FALSE(circuit.failed(0, 0));
  EXPECT_EQ(circuit.admit(0), 0);
  EXPECT_TRUE(circuit.failed(0, 0));
  EXPECT_EQ(circuit.admit(500), Circuit::kFirstMs - 500);
}

TEST(Circuit, OneProbeAtATimeAndLongerEachTime) {
  Circuit circuit;
  for (int i = 0; i < 3; ++i) circuit.failed(0, 0);
  EXPECT_EQ(circuit.admit(2000), 0);     // the probe
  EXPECT_EQ(circuit.admit(2001), 1999);  // everybody else
  EXPECT_FALSE(circuit.failed(2010, 0));
  EXPECT_EQ(circuit.closed_for(2010), 4000);
  EXPECT_EQ(circuit.admit(6010), 0);
  EXPECT_TRUE(circuit.succeeded());
  EXPECT_EQ(circuit.admit(6011), 0);
}

TEST(Circuit, HonoursWhatTheStoreAskedFor) {
  Circuit circuit;
  for (int i = 0; i < 3; ++i) circuit.failed(0, 30'000);
  EXPECT_EQ(circuit.closed_for(0), 30'000);
}

}  // namespace
}  // namespace otagate::gateway

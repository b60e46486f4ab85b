#include "common/device_protocols/ddi/memory.hpp"

#include <gtest/gtest.h>

namespace otagate::plugins::devices::ddi {
namespace {

void tell(Memory& memory, const std::string& device, std::uint64_t attempt) {
  memory.update(device, [attempt](Remembered& known) { known.told = attempt; });
}

TEST(DdiMemory, KnowsNothingOfStrangersAndKeepsNothingForAsking) {
  Memory memory(2);
  EXPECT_EQ(memory.get("a").told, 0U);
  EXPECT_EQ(memory.size(), 0U);
}

TEST(DdiMemory, ForgetsTheOneNotHeardOfForLongest) {
  Memory memory(2);
  tell(memory, "a", 1);
  tell(memory, "b", 2);
  tell(memory, "a", 3);
  tell(memory, "c", 4);
  EXPECT_EQ(memory.size(), 2U);
  EXPECT_EQ(memory.get("a").told, 3U);
  EXPECT_EQ(memory.get("b").told, 0U);
  EXPECT_EQ(memory.get("c").told, 4U);
}

TEST(DdiMemory, StaysWithinItsBound) {
  Memory memory;
  for (int i = 0; i < 25'000; ++i) tell(memory, "made-up-" + std::to_string(i), 1);
  EXPECT_EQ(memory.size(), 10'000U);
  EXPECT_EQ(memory.get("made-up-24999").told, 1U);
  EXPECT_EQ(memory.get("made-up-14999").told, 0U);
}

}  // namespace
}  // namespace otagate::plugins::devices::ddi

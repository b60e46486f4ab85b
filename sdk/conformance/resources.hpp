// What an instance leaves behind.
#pragma once

#include <cstddef>

namespace otagate::kit {

// Open descriptors and threads of this process.
struct Resources {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  static Resources now();
};
// Waits until there are no more than before, for threads end a moment after they were joined.
void expect_released(const Resources& before, const char* after_what);

}  // namespace otagate::kit

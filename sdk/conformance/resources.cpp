#include "resources.hpp"

#include <dirent.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "check.hpp"

namespace otagate::kit {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

Resources Resources::now() {
  Resources out;
  for (const auto& [folder, count] :
       {std::pair{"/proc/self/fd", &out.descriptors}, std::pair{"/proc/self/task", &out.threads}}) {
    DIR* dir = ::opendir(folder);
    if (!dir) continue;
    while (::readdir(dir)) ++*count;
    ::closedir(dir);
  }
  return out;
}

void expect_released(const Resources& before, const char* after_what) {
  Resources after;
  for (const auto until = Clock::now() + std::chrono::seconds(5); Clock::now() < until;) {
    after = Resources::now();
    if (after.descriptors <= before.descriptors && after.threads <= before.threads) return;
    std::this_thread::sleep_for(milliseconds(20));  // nothing tells when a thread has left the kernel
  }
  expect(after.descriptors <= before.descriptors, std::string(after_what) + " left " +
                                                      std::to_string(after.descriptors - before.descriptors) +
                                                      " descriptors open");
  expect(after.threads <= before.threads, std::string(after_what) + " left " +
                                              std::to_string(after.threads - before.threads) +
                                              " threads behind");
}

}  // namespace otagate::kit

// A download in ranges of a URL, for the protocols whose devices fetch their image themselves.
#pragma once

#include <cstdint>
#include <string>

#include "device.hpp"

namespace otagate::sim {

struct Download {
  std::string url;
  std::string version;
  std::string sha256;      // hex; empty: not known
  std::uint64_t size = 0;  // 0: not known before the first answer

  // The next range after what `image` has. `usual`: bytes, where the user did not choose.
  Ask ask(const Image& image, const Habits& habits, std::uint32_t usual) const;

  enum class Step {
    data,    // `data` is the next part of the image
    retry,   // later
    broken,  // why() says what is wrong
  };
  struct Got {
    Step step = Step::retry;
    std::string_view data;  // part of the reply
    std::string why;
  };
  // Takes the size from the first answer.
  Got take(const Reply& reply, const Image& image);
  bool complete(const Image& image) const { return size > 0 && image.offset() == size; }
};

// Larger answers are refused by the carriers: a simulated device has little memory.
inline constexpr std::uint32_t kMaxRange = 1 << 20;

}  // namespace otagate::sim

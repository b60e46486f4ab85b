// Which handler of the port a path belongs to. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "http/target.hpp"

namespace otagate::http {

// Handlers claim path prefixes of whole segments ("/firmware", "/v1/dfu"); the longest that fits wins.
// Filled once, then read by any thread.
template <typename Handler>
class Router {
 public:
  // `prefix` begins with '/' and has no '%'.
  void add(std::string_view prefix, Handler handler) {
    auto target = parse_target(prefix);
    if (target) routes_.emplace_back(std::move(target->segments), std::move(handler));
  }

  // Null: nobody serves that path. `rest` becomes the index of the first segment after the prefix.
  const Handler* find(const std::vector<std::string>& segments, std::size_t& rest) const {
    const Handler* best = nullptr;
    rest = 0;
    for (const auto& [prefix, handler] : routes_) {
      if (prefix.size() > segments.size() || (best != nullptr && prefix.size() <= rest)) continue;
      bool same = true;
      for (std::size_t i = 0; i < prefix.size() && same; ++i) same = prefix[i] == segments[i];
      if (!same) continue;
      best = &handler;
      rest = prefix.size();
    }
    return best;
  }

 private:
  std::vector<std::pair<std::vector<std::string>, Handler>> routes_;
};

}  // namespace otagate::http

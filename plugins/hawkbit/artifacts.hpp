// The bytes of artifacts: the same ones lie at one URL for each target that was assigned them.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "hawkbit/server.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::hawkbit {

// Any thread.
class Artifacts {
 public:
  explicit Artifacts(Server& server) : server_(server) {}

  // Keeps where the assignment's artifacts are, and adds to its parts where else they are known to be.
  void exchange_places(sdk::Assignment& wish);
  // By the request's locator, else by the first place that is known. Throws sdk::Failure.
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink);

 private:
  std::string place_of(std::string_view key) const;
  // The target whose URL that is: the server's own say so.
  std::string target_of(const common::UrlParts& url) const;

  Server& server_;
  mutable std::mutex mutex_;
  // Under mutex_: URLs of each key, the latest first, and the keys in the order they came.
  std::map<std::string, std::vector<std::string>, std::less<>> places_;
  std::deque<std::string> order_;
};

}  // namespace otagate::hawkbit

// hawkBit as a store: what it assigns to targets becomes assignments of devices, and what became of them
// goes back.
#pragma once

#include <memory>
#include <string_view>

#include "hawkbit/artifacts.hpp"
#include "hawkbit/poller.hpp"
#include "hawkbit/server.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::hawkbit {

class HawkbitStore : public sdk::Store {
 public:
  explicit HawkbitStore(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;
  void watch(std::string_view device, const sdk::Pairs& attributes, sdk::Call& call) override;
  void unwatch(std::string_view device, sdk::Call& call) override;
  void feedback(const sdk::Feedback& said, sdk::Call& call) override;

 private:
  const std::unique_ptr<Server> server_;
  Artifacts artifacts_;
  Poller poller_;  // the last: its threads use the others
};

}  // namespace otagate::hawkbit

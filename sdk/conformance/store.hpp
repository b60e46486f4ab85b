// A store under test: an instance of it, and calls as a check makes them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "check.hpp"
#include "host.hpp"
#include "otagate/storage.h"

namespace otagate::kit {

constexpr milliseconds kPatience{30'000};  // for a call that nothing keeps from completing
constexpr milliseconds kSoon{5'000};       // for one that was cancelled

struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// Throws Failed where the store breaks a rule.
class Store {
 public:
  explicit Store(Subject& subject);
  // The end of every check: what the plugin did wrong on the way, and that it ends.
  void finish();

  bool can(std::uint32_t flag) const { return (caps_.flags & flag) != 0; }
  Instance& instance() { return instance_; }
  const otagate_storage& table() const { return table_; }
  const otagate_store_caps& caps() const { return caps_; }
  bool blocking() const { return (instance_.subject().plugin().flags & OTAGATE_PLUGIN_BLOCKING) != 0; }

  std::shared_ptr<Call> start_list(const std::string& cursor, std::uint32_t limit);
  // Where nothing is listed and the configuration names a device: what that was assigned.
  std::vector<ListedObject> list_all(std::uint32_t limit = 1000);
  std::shared_ptr<Call> start_fetch(const std::string& key, const std::string& token, Range range,
                                    std::function<std::uint32_t(std::uint64_t)> answer = {});
  std::shared_ptr<Call> fetch(const std::string& key, const std::string& token, Range range = {});
  // Where a store has ranges the length is never 0.
  std::string whole(const ListedObject& object);
  static std::shared_ptr<Call> ended(std::shared_ptr<Call> call, const char* what,
                                     milliseconds patience = kPatience);
  // The smallest object that is worth it, or the largest there is.
  ListedObject object(std::uint64_t at_least = 1);

 private:
  std::vector<ListedObject> assigned();

  const otagate_storage& table_;
  Instance instance_;
  otagate_store_caps caps_{};
  const std::optional<std::string> device_;  // that is assigned something
};

}  // namespace otagate::kit

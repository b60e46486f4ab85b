// What a sync of one store works with.
#pragma once

#include <cstdint>
#include <functional>

#include "config/config.hpp"
#include "gateway/events.hpp"
#include "gateway/interpret.hpp"
#include "gateway/store_client.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// The index files of a store as they were last read; kept from sync to sync.
struct KnownIndexes {
  StoreIndexes indexes;
  bool read = false;
};

// What is borrowed outlives the sync.
struct StoreScope {
  state::Database& db;
  EventLog& events;
  std::int64_t store = 0;
  const config::Store& config;
  StoreClient& client;
  const Interpreter& interpreter;
  KnownIndexes& known;              // written by the sync's own thread, while no object is examined
  std::function<bool()> stopping;   // asked between steps, from several threads
  std::function<void()> examining;  // the listing is through
};

}  // namespace otagate::gateway

// What a reload has to do.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace otagate::config {

struct InstanceDiff {
  // Names, each in the order of the new file (removed: of the old one). A disabled instance counts
  // as absent.
  std::vector<std::string> added, removed, changed, unchanged;
};

struct Diff {
  InstanceDiff stores;
  InstanceDiff transports;
  bool credentials_changed = false;
  // Settings that can be taken over while running: "log.level", "cache.max_size", ...
  std::vector<std::string> applied;
  // Settings that take effect at the next start: "daemon.state_dir", "api.socket", ...
  std::vector<std::string> restart;

  bool empty() const;
};

Diff diff(const Config& old, const Config& now);

}  // namespace otagate::config

// What `otagate deploy` was told, as the daemon's specification of a deployment.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace otagate::cli {

struct DeployArguments {
  std::string firmware;            // NAME, NAME@VERSION or NAME/VERSION[/TYPE]; empty: `parts` says it all
  std::string component;           // of it
  std::string store;               // of every part
  std::vector<std::string> parts;  // COMPONENT=FIRMWARE, in order, after `firmware`
  std::vector<std::string> to;     // type=X, tag=X, device=X, everybody
  std::string name;
  std::vector<std::string> waves;  // "1", "10%", ...
  std::vector<std::string> windows;
  bool window_without_clock = false;
  std::string advance_at, pause_at, abort_at;  // empty: the daemon's default, as all that follows
  std::string silence, apply, retry_first, retry_most, deadline;
  std::uint32_t concurrency = 0;
  std::uint32_t attempts = 0;
  bool approval = false;
  bool once = false;
  bool downgrade = false;
  bool stream = false;
};

// `invalid` says what to write; amounts, windows and times are left to the daemon, which names them too.
Result<boost::json::object> deploy_spec(const DeployArguments& arguments);

}  // namespace otagate::cli

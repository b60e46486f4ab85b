// The subcommands of otagate. Each adds itself to the application and, when chosen, sets what to run.
#pragma once

#include <functional>
#include <string>

#include "client.hpp"
#include "core/error.hpp"

namespace CLI {
class App;
}

namespace otagate::cli {

// Exit codes, documented in otagate(1).
inline constexpr int kOk = 0;
inline constexpr int kDegraded = 1;     // `status`: something is wrong; other commands: it failed
inline constexpr int kUnreachable = 2;  // no daemon answers
inline constexpr int kAborted = 3;      // a deployment that was waited for was aborted
inline constexpr int kPaused = 4;       // it is paused, by its thresholds or by an operator
inline constexpr int kUsage = 64;

// What the whole line said.
struct Context {
  Target target;
  bool json = false;
  std::function<int()> run;  // of the chosen subcommand

  Client client() const { return Client(target); }
};

void add_status(CLI::App& app, Context& context);
void add_plugins(CLI::App& app, Context& context);
void add_stores(CLI::App& app, Context& context);
void add_firmware(CLI::App& app, Context& context);
// The subcommands of `firmware` that bring and take what no store lists.
void add_imports(CLI::App& firmware, Context& context);
void add_bundle(CLI::App& app, Context& context);
void add_cache(CLI::App& app, Context& context);
void add_events(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_state(CLI::App& app, Context& context);
void add_devices(CLI::App& app, Context& context);
void add_deploy(CLI::App& app, Context& context);
void add_deployments(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

// Prints the error and returns the exit code that goes with it.
int failed(const Error& error);

}  // namespace otagate::cli

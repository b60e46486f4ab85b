// otagate: the command line client of the admin API.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "commands.hpp"

namespace otagate::cli {

namespace {

int run(int argc, char** argv) {
  CLI::App app{"Talks to otagated, the OTA firmware gateway", "otagate"};
  app.set_version_flag("--version", "otagate " OTAGATE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // --json and the like after the subcommand as well
  app.footer(
      "Exit codes: 0 ok, 1 failed or degraded, 2 daemon unreachable, 3 deployment aborted, 4 deployment "
      "paused, "
      "64 wrong usage. See otagate(1).");
  Context context;
  app.add_option("--socket", context.target.socket, "Admin socket of the daemon")
      ->type_name("PATH")
      ->envname("OTAGATE_SOCKET")
      ->capture_default_str();
  app.add_option("--address", context.target.address, "Admin API over TCP instead")->type_name("HOST:PORT");
  app.add_option("--token-file", context.target.token_file, "File with the token for --address")
      ->type_name("FILE");
  app.add_flag("--json", context.json, "Print the daemon's JSON");
  add_status(app, context);
  add_plugins(app, context);
  add_stores(app, context);
  add_firmware(app, context);
  add_devices(app, context);
  add_deploy(app, context);
  add_deployments(app, context);
  add_bundle(app, context);
  add_cache(app, context);
  add_events(app, context);
  add_config(app, context);
  add_state(app, context);
  add_completion(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return context.run();
}

}  // namespace
}  // namespace otagate::cli

int main(int argc, char** argv) { return otagate::cli::run(argc, argv); }

// otagated: the composition root. Reads the configuration, puts the parts together, and turns signals
// into reloads and an orderly end.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>

#include "api/server.hpp"
#include "config/load.hpp"
#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/gateway.hpp"
#include "main/admin.hpp"
#include "main/check.hpp"
#include "main/logging.hpp"
#include "main/memory.hpp"
#include "main/notify.hpp"
#include "state/database.hpp"

namespace otagate {
namespace {

// Exit codes beyond those of state/open.hpp; documented in otagated(8).
constexpr int kExitFailure = 1;
constexpr int kExitUsage = 64;   // EX_USAGE
constexpr int kExitConfig = 78;  // EX_CONFIG: the configuration is wrong; starting again does not help

struct Arguments {
  std::filesystem::path config = "/etc/otagate/otagate.toml";
  bool check = false;
};

// Milliseconds after which the start is over and what it needed is given back.
constexpr std::int64_t kSettled = 1'500;

// The signals that the control thread waits for; blocked in every thread.
sigset_t control_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGHUP, SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, signal);
  return set;
}

// Runs the daemon's life after the configuration was read. One instance, on the main thread.
class Daemon {
 public:
  Daemon(Arguments arguments, config::Config config)
      : arguments_(std::move(arguments)), config_(std::move(config)) {}

  // Once more for as long as a restored state asks for a new start.
  int run() {
    for (;;) {
      restart_ = false;
      const int code = run_once();
      if (code != 0 || !restart_) return code;
      log("main").info("starting anew with the restored state");
    }
  }

 private:
  int run_once() {
    const auto& state_dir = config_.daemon.state_dir;
    std::error_code error;
    std::filesystem::create_directories(state_dir, error);
    if (error) {
      log("main").error("state_dir {}: {}; create it or set daemon.state_dir", state_dir.string(),
                        error.message());
      return state::kExitStateUnusable;
    }
    auto database = state::Database::open(state_dir / "state.db");
    if (!database) {
      log("main").error("{}", database.error().error.message());
      return database.error().exit_code;
    }
    gateway::Gateway gateway(**database, config_);
    if (auto started = gateway.start(); !started) {
      log("main").error("{}", started.error().message());
      gateway.stop();
      return kExitFailure;
    }
    const auto queue_reload = [this](api::Backend::Reply<std::vector<std::string>> reply) {
      {
        const std::scoped_lock lock(mutex_);
        reloads_.push_back(std::move(reply));
      }
      ::kill(::getpid(), SIGUSR1);
    };
    const auto queue_restart = [this] {
      restart_ = true;
      ::kill(::getpid(), SIGUSR1);
    };
    Admin admin(gateway, OTAGATE_VERSION, queue_reload, queue_restart);
    auto server = api::Server::start({config_.api, config_.metrics}, admin);
    if (!server) {
      log("main").error("admin API: {}", server.error().message());
      gateway.stop();
      return kExitFailure;
    }
    log("main").info("otagated {} is ready", OTAGATE_VERSION);
    notify_ready();
    serve(gateway);
    notify_stopping();
    notify_status("draining");
    server->reset();
    gateway.stop();
    log("main").info("stopped");
    return 0;
  }

  // Waits for signals and the watchdog's tick until it is time to stop.
  void serve(gateway::Gateway& gateway) {
    const sigset_t signals = control_signals();
    const std::uint64_t watchdog = watchdog_usec();
    const std::int64_t tick_ms = watchdog == 0 ? 10'000 : static_cast<std::int64_t>(watchdog / 2000);
    bool settled = false;
    for (;;) {
      // A gateway that cannot say how it does is stuck: then the watchdog may bite.
      const gateway::Status status = gateway.status();
      if (watchdog != 0) notify_watchdog();
      notify_status(status.problems.empty() ? "ok" : "degraded: " + status.problems.front());
      const std::int64_t wait_ms = settled ? tick_ms : std::min(tick_ms, kSettled);
      const timespec wait{wait_ms / 1000, (wait_ms % 1000) * 1'000'000};
      const int signal = ::sigtimedwait(&signals, nullptr, &wait);
      if (signal == -1 && !settled) {
        settled = true;
        give_back_memory();
      }
      if (signal == SIGTERM || signal == SIGINT) return;
      if (signal == SIGHUP) reload(gateway);
      if (restart_) return;
      if (signal == SIGUSR1) {
        std::deque<api::Backend::Reply<std::vector<std::string>>> asked;
        {
          const std::scoped_lock lock(mutex_);
          asked.swap(reloads_);
        }
        if (asked.empty()) continue;
        const Result<std::vector<std::string>> outcome = reload(gateway);
        for (const auto& reply : asked) reply(outcome);
      }
    }
  }

  Result<std::vector<std::string>> reload(gateway::Gateway& gateway) {
    notify_reloading();
    auto config = config::load(arguments_.config);
    if (!config) {
      const std::string problems = to_string(config.error());
      log("main").error("reload refused, nothing changed:\n{}", problems);
      gateway.reload_failed(problems);
      notify_ready();
      return fail(Code::invalid, problems);
    }
    for (const Problem& warning : config->warnings) log("main").warn("{}", warning.to_string());
    apply_log_levels(config->log);
    auto restart = gateway.reload(std::move(*config));
    for (const std::string& key : restart) log("main").warn("{} takes effect at the next start", key);
    log("main").info("reloaded");
    notify_ready();
    return restart;
  }

  const Arguments arguments_;
  const config::Config config_;
  std::atomic<bool> restart_{false};
  std::mutex mutex_;
  std::deque<api::Backend::Reply<std::vector<std::string>>> reloads_;  // under mutex_
};

int main(int argc, char** argv) {
  CLI::App app{"otagated, the OTA firmware gateway daemon", "otagated"};
  app.set_version_flag("--version", std::string("otagated ") + OTAGATE_VERSION);
  app.footer("SIGHUP reads the configuration again; SIGTERM drains and stops. See otagated(8).");
  Arguments arguments;
  app.add_option("--config", arguments.config, "Configuration file; conf.d/*.toml beside it is read too")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_flag("--check", arguments.check, "Check the configuration and each plugin's options, then exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }

  auto config = config::load(arguments.config);
  if (!config) {
    std::fprintf(stderr, "%s\n", to_string(config.error()).c_str());
    return kExitConfig;
  }
  if (arguments.check) {
    for (const Problem& warning : config->warnings)
      std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
    if (!check_instances(*config)) return kExitConfig;
    std::printf("%s is good\n", arguments.config.c_str());
    return 0;
  }

  limit_arenas();
  // Before any thread starts, so that all inherit it.
  const sigset_t signals = control_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(027);
  start_logging(config->log.format);
  apply_log_levels(config->log);
  for (const Problem& warning : config->warnings) log("main").warn("{}", warning.to_string());
  return Daemon(std::move(arguments), std::move(*config)).run();
}

}  // namespace
}  // namespace otagate

int main(int argc, char** argv) { return otagate::main(argc, argv); }

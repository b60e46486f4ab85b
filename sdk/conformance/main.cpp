// otagate-plugin-check: tries a plugin the way a gateway would, and the way a gateway should never have to.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "check.hpp"
#include "host.hpp"
#include "subject.hpp"

namespace otagate::kit {
namespace {

enum class Verdict : char { pass = 'P', fail = 'F', skip = 'S' };

struct Outcome {
  Verdict verdict = Verdict::fail;
  std::string reason;
  double seconds = 0;
};

const char* word(Verdict verdict) {
  return verdict == Verdict::pass ? "pass" : verdict == Verdict::skip ? "skip" : "FAIL";
}

// Runs in the child. What it writes is the outcome: a letter and the reason.
[[noreturn]] void child(const Check& check, const std::string& plugin, const std::string& config, int to) {
  ::signal(SIGPIPE, SIG_IGN);
  Outcome outcome;
  try {
    Subject subject(plugin, config);
    check.run(subject);
    outcome.verdict = Verdict::pass;
  } catch (const Failed& failed) {
    outcome.reason = failed.reason;
    // What a rule that was broken on the way led to is not the cause.
    if (const std::string cause = first_violation(); !cause.empty() && cause != failed.reason)
      outcome.reason = cause + "; then: " + failed.reason;
  } catch (const Skipped& skipped) {
    outcome.verdict = Verdict::skip;
    outcome.reason = skipped.reason;
  } catch (const std::exception& problem) {
    outcome.reason = std::string("the check itself failed: ") + problem.what();
  }
  const std::string text = static_cast<char>(outcome.verdict) + outcome.reason;
  if (::write(to, text.data(), text.size()) < 0) ::_exit(3);
  ::close(to);
  // A failed check may have left threads inside the plugin: leaving by exit() would pull the ground from
  // under them. Otherwise exit() lets a sanitizer report leaks.
  if (outcome.verdict == Verdict::fail) ::_exit(0);
  std::exit(0);
}

// Each check has a process of its own: a crash or a hang of the plugin is a result and ends nothing else.
Outcome run(const Check& check, const std::string& plugin, const std::string& config, int timeout_s) {
  Outcome out;
  const auto begin = Clock::now();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {Verdict::fail, "pipe failed", 0};
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return {Verdict::fail, "fork failed", 0};
  if (pid == 0) {
    ::close(ends[0]);
    ::setpgid(0, 0);
    child(check, plugin, config, ends[1]);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto left =
        timeout_s - std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count();
    pollfd wait{ends[0], POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left * 1000)) == 0) break;
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  bool ended = false;
  for (const auto until = Clock::now() + std::chrono::seconds(text.empty() ? 1 : 20);
       !ended && Clock::now() < until;) {
    ended = ::waitpid(pid, &status, WNOHANG) == pid;
    if (!ended)
      std::this_thread::sleep_for(milliseconds(5));  // a child's end can only be polled for beside a deadline
  }
  if (!ended) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!text.empty()) {
    out.verdict = static_cast<Verdict>(text[0]);
    out.reason = text.substr(1);
  }
  if (text.empty() && !ended) {
    out.reason = "it did not end within " + std::to_string(timeout_s) + " s";
  } else if (text.empty() || (out.verdict != Verdict::fail && ended && status != 0)) {
    out.verdict = Verdict::fail;
    out.reason = WIFSIGNALED(status)
                     ? std::string("it crashed: ") + ::strsignal(WTERMSIG(status))
                     : "the process ended with exit code " + std::to_string(WEXITSTATUS(status)) +
                           "; a sanitizer may have said why";
  } else if (!ended && out.verdict == Verdict::pass) {
    out.verdict = Verdict::fail;
    out.reason = "the process did not end after the check: a thread of the plugin keeps it";
  }
  return out;
}

int run_all(int argc, char** argv) {
  CLI::App app(
      "Checks an otagate plugin against what its interface promises.\n"
      "Exit code: 0 nothing failed, 1 a check failed, 2 wrong usage.");
  app.name("otagate-plugin-check");
  std::string plugin;
  std::string config;
  std::vector<std::string> only;
  bool list = false;
  bool json = false;
  int timeout_s = 120;
  auto* plugin_option = app.add_option("plugin", plugin, "the shared object")->check(CLI::ExistingFile);
  app.add_option("config", config, "TOML: [options] of the instance, [check] what the kit needs")
      ->check(CLI::ExistingFile);
  app.add_flag("--list", list, "name the checks and end");
  app.add_option("--only", only, "run these checks only; a name or the part before the dot")
      ->delimiter(',')
      ->allow_extra_args(false);  // what follows is the plugin
  app.add_flag("--json", json, "one JSON document instead of lines");
  app.add_option("--timeout", timeout_s, "seconds for each check")->check(CLI::Range(1, 3600));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  std::vector<Check> checks;
  for (auto part :
       {load_checks(), store_checks(), store_call_checks(), store_optional_checks(), transport_checks()})
    for (Check& check : part) checks.push_back(std::move(check));
  if (list) {
    for (const Check& check : checks) std::printf("%-26s %s\n", check.name.c_str(), check.what.c_str());
    return 0;
  }
  if (!*plugin_option) {
    std::fprintf(stderr, "otagate-plugin-check: name the plugin's shared object; see --help\n");
    return 2;
  }
  // dlopen() looks for a name without a slash in the library folders.
  if (plugin.find('/') == std::string::npos) plugin = "./" + plugin;

  const auto wanted = [&](const std::string& name) {
    return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& one) {
             return name == one || name.rfind(one + ".", 0) == 0;
           });
  };
  boost::json::array rows;
  unsigned counts[3] = {};
  std::string absent;  // "store.": the plugin does not have that interface
  for (const Check& check : checks) {
    if (!wanted(check.name) || (!absent.empty() && check.name.rfind(absent, 0) == 0)) continue;
    const Outcome outcome = run(check, plugin, config, timeout_s);
    if (outcome.reason.rfind("the plugin is no ", 0) == 0)
      absent = check.name.substr(0, check.name.find('.') + 1);
    ++counts[outcome.verdict == Verdict::pass ? 0 : outcome.verdict == Verdict::fail ? 1 : 2];
    if (json) {
      rows.push_back({{"name", check.name},
                      {"verdict", outcome.verdict == Verdict::fail ? "fail" : word(outcome.verdict)},
                      {"reason", outcome.reason},
                      {"seconds", outcome.seconds}});
    } else {
      std::printf("%s  %-26s %s%s%s\n", word(outcome.verdict), check.name.c_str(), check.what.c_str(),
                  outcome.reason.empty() ? "" : ": ", outcome.reason.c_str());
      std::fflush(stdout);
    }
  }
  if (counts[0] + counts[1] + counts[2] == 0) {
    std::fprintf(stderr, "otagate-plugin-check: no check is called that; see --list\n");
    return 2;
  }
  if (json)
    std::cout << boost::json::serialize(boost::json::object{{"plugin", plugin},
                                                            {"passed", counts[0]},
                                                            {"failed", counts[1]},
                                                            {"skipped", counts[2]},
                                                            {"checks", rows}})
              << '\n';
  else
    std::printf("%u passed, %u failed, %u skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] == 0 ? 0 : 1;
}

}  // namespace
}  // namespace otagate::kit

int main(int argc, char** argv) { return otagate::kit::run_all(argc, argv); }

// otagate-sim: a fleet of simulated devices that update themselves from a gateway.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "fleet.hpp"

namespace otagate::sim {
namespace {

constexpr int kAsExpected = 0;
constexpr int kOtherwise = 1;
constexpr int kUsage = 64;
constexpr std::size_t kMaxDevices = 60'000;

struct Options {
  std::string url, coap, token_file, report;
  std::string mix = "poll";
  std::string poll_interval, reboot = "3s", crash_time = "5s", limit, spread, long_poll = "0s",
                             ack_timeout = "2s";
  bool no_keep_alive = false;
};

[[noreturn]] void wrong(const std::string& why) { throw CLI::ValidationError(why); }

Milliseconds duration(const std::string& option, const std::string& text) {
  const auto time = parse_duration(text);
  if (!time) wrong(option + ": '" + text + "' is no duration; write for example 250ms, 30s or 1h30m");
  return *time;
}

// The address in numbers: thousands of links must not ask for the name each.
Address resolve(const std::string& option, const std::string& text, std::string_view scheme) {
  const auto url = parse_url(text);
  if (!url || url->scheme != scheme) {
    wrong(option + ": '" + text + "' is no address; write for example " + std::string(scheme) +
          "://127.0.0.1:" + (scheme == "http" ? "8080" : "5683"));
  }
  boost::asio::io_context io;
  boost::asio::ip::tcp::resolver resolver(io);
  boost::system::error_code failed;
  const auto found = resolver.resolve(url->address.host, url->address.port, failed);
  if (failed || found.empty()) wrong(option + ": " + url->address.host + ": " + failed.message());
  const auto endpoint = found.begin()->endpoint();
  return {endpoint.address().to_string(), std::to_string(endpoint.port())};
}

// One token for all, or lines "id token".
void read_tokens(const std::string& path, Settings& settings) {
  std::ifstream file(path);
  if (!file) wrong("--token-file: cannot read " + path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string first;
    std::string second;
    if (!(words >> first)) continue;
    if (words >> second) {
      settings.tokens.emplace_back(first, second);
    } else {
      settings.token = first;
    }
  }
  if (settings.token.empty() && settings.tokens.empty()) wrong("--token-file: " + path + " is empty");
  std::ranges::sort(settings.tokens);
}

// A socket for each device.
void raise_file_limit(std::size_t devices) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t needed = devices + 64;
  if (limit.rlim_cur >= needed) return;
  limit.rlim_cur = std::min(limit.rlim_max, needed);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed) {
    wrong("--devices: " + std::to_string(devices) + " devices need as many open files, the limit is " +
          std::to_string(limit.rlim_cur) + "; raise it (ulimit -Hn)");
  }
}

void finish(const Options& options, Settings& settings) {
  std::string problem;
  const auto mix = parse_mix(options.mix, problem);
  if (!mix) wrong("--mix: " + problem);
  settings.mix = *mix;
  if (!options.url.empty()) settings.http = resolve("--url", options.url, "http");
  if (!options.coap.empty()) settings.coap = resolve("--coap", options.coap, "coap");
  for (const auto& share : settings.mix) {
    if (share.weight > 0 && !(share.protocol->coap ? settings.coap : settings.http)) {
      wrong("--mix: " + std::string(share.protocol->name) + " needs " +
            (share.protocol->coap ? "--coap coap://HOST:PORT" : "--url http://HOST:PORT"));
    }
    if (share.weight > 0 && share.protocol->name.starts_with("plain") &&
        settings.habits.firmware.find('/') == std::string::npos) {
      wrong("--mix: " + std::string(share.protocol->name) + " needs --firmware NAME/VERSION");
    }
  }
  const auto& odds = settings.odds;
  if (odds.silent + odds.fail + odds.revert > 1) {
    wrong("--silent, --fail and --revert exclude each other: together they are at most 1");
  }
  auto& habits = settings.habits;
  if (!options.poll_interval.empty()) {
    habits.poll_interval = duration("--poll-interval", options.poll_interval);
  }
  habits.reboot = duration("--reboot", options.reboot);
  habits.crash = duration("--crash-time", options.crash_time);
  habits.long_poll = duration("--long-poll", options.long_poll);
  settings.links.ack_timeout = duration("--ack-timeout", options.ack_timeout);
  settings.links.keep_alive = !options.no_keep_alive;
  if (!options.limit.empty()) settings.limit = duration("--for", options.limit);
  settings.spread = options.spread.empty() ? habits.poll_interval.value_or(Milliseconds(1'000))
                                           : duration("--spread", options.spread);
  if (!options.token_file.empty()) read_tokens(options.token_file, settings);
  raise_file_limit(settings.devices);
}

void add_options(CLI::App& app, Options& options, Settings& settings) {
  const auto share = CLI::Range(0.0, 1.0);
  app.set_version_flag("-V,--program-version", "otagate-sim " OTAGATE_VERSION);
  app.add_option("--devices", settings.devices, "How many")->check(CLI::Range(std::size_t{1}, kMaxDevices));
  app.add_option("--url", options.url, "The gateway's HTTP listener")->type_name("http://HOST:PORT");
  app.add_option("--coap", options.coap, "The gateway's CoAP listener")->type_name("coap://HOST:PORT");
  app.add_option("--mix", options.mix, "Protocols and how many of them: poll=40,drogue-coap=20")
      ->capture_default_str();
  app.add_option("--type", settings.type, "Device type")->capture_default_str();
  app.add_option("--prefix", settings.prefix, "Of the device ids")->capture_default_str();
  app.add_option("--version", settings.version, "What they run at first")->capture_default_str();
  app.add_option("--seed", settings.seed, "Of all dice")->capture_default_str();
  app.add_option("--poll-interval", options.poll_interval, "Instead of what the gateway says");
  app.add_option("--spread", options.spread, "Within which they begin (default: the poll interval)");
  app.add_option("--flash-rate", settings.habits.flash_rate, "Bytes per second that a device takes");
  app.add_option("--chunk", settings.habits.chunk, "Bytes of a range or a block")
      ->check(CLI::Range(16U, 1U << 20U));
  app.add_option("--mtu", settings.habits.mtu, "Of Drogue devices")
      ->check(CLI::Range(16U, 1024U))
      ->capture_default_str();
  app.add_option("--long-poll", options.long_poll, "How long the gateway may hold back a Drogue command")
      ->capture_default_str();
  app.add_option("--tenant", settings.habits.tenant, "Of hawkBit devices")->capture_default_str();
  app.add_option("--firmware", settings.habits.firmware, "What the plain devices download")
      ->type_name("NAME/VERSION");
  app.add_option("--loss", settings.links.loss, "Of CoAP datagrams, 0 to 1")->check(share);
  app.add_option("--duplicate", settings.links.duplicate, "Of CoAP datagrams, 0 to 1")->check(share);
  app.add_option("--ack-timeout", options.ack_timeout, "CoAP's ACK_TIMEOUT")->capture_default_str();
  app.add_option("--crash", settings.odds.crash, "Die once in the middle of a download, 0 to 1")
      ->check(share);
  app.add_option("--crash-time", options.crash_time, "How long they are away then")->capture_default_str();
  app.add_option("--revert", settings.odds.revert, "Come back with the old version, 0 to 1")->check(share);
  app.add_option("--silent", settings.odds.silent, "Take an update on and are never heard again, 0 to 1")
      ->check(share);
  app.add_option("--fail", settings.odds.fail, "Report a failure, 0 to 1")->check(share);
  app.add_option("--reboot", options.reboot, "How long a reboot takes")->capture_default_str();
  app.add_option("--time-scale", settings.habits.time_scale, "Reboots and flash are so many times faster")
      ->check(CLI::Range(0.001, 1e6));
  app.add_option("--token-file", options.token_file, "One bearer token, or lines \"ID TOKEN\"");
  app.add_option("--expect", settings.habits.expect, "Who runs this version has nothing left to do");
  app.add_flag("--no-keep-alive", options.no_keep_alive, "A connection for each HTTP request");
  app.add_flag("--until-idle", settings.until_idle, "End once every device is where its dice lead it");
  app.add_option("--for", options.limit, "End after this long at the latest")->type_name("DURATION");
  app.add_option("--report", options.report, "What became of each device, as JSON")->type_name("FILE");
}

void show(const Census& census, bool terminal) {
  std::fprintf(stderr,
               "%s%zu devices: %zu settled, %zu updated, %zu busy, %zu gone, %llu check-ins, %llu bytes%s",
               terminal ? "\r\033[K" : "", census.devices, census.settled, census.updated, census.busy,
               census.gone, static_cast<unsigned long long>(census.check_ins),
               static_cast<unsigned long long>(census.bytes), terminal ? "" : "\n");
  std::fflush(stderr);
}

int run(int argc, char** argv) {
  CLI::App app{"Simulates a fleet of devices that update themselves from a gateway", "otagate-sim"};
  app.footer(
      "Exit codes: 0 every device ended as its dice said, 1 not so, 64 wrong usage. See otagate-sim(1).");
  Options options;
  Settings settings;
  add_options(app, options, settings);
  try {
    app.parse(argc, argv);
    finish(options, settings);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  Fleet fleet(std::move(settings));
  int ticks = 0;
  fleet.run([&](const Census& census) {
    if (terminal || ticks++ % 10 == 0) show(census, terminal);
  });
  show(fleet.census(), terminal);
  if (terminal) std::fputc('\n', stderr);
  if (!options.report.empty()) {
    std::ofstream file(options.report);
    file << fleet.report();
    if (!file.flush()) {
      std::fprintf(stderr, "otagate-sim: cannot write %s\n", options.report.c_str());
      return kOtherwise;
    }
  }
  return fleet.as_expected() ? kAsExpected : kOtherwise;
}

}  // namespace
}  // namespace otagate::sim

int main(int argc, char** argv) {
  try {
    return otagate::sim::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "otagate-sim: %s\n", error.what());
    return 1;
  }
}

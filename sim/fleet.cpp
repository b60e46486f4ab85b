#include "fleet.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <csignal>
#include <utility>

namespace otagate::sim {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;

// What a device's place in the mix is; its own stream of chance, apart from its fate.
constexpr std::uint64_t kPlaceStream = 1ULL << 40U;

double seconds(Milliseconds time) { return static_cast<double>(time.count()) / 1000; }

}  // namespace

std::optional<std::vector<Share>> parse_mix(std::string_view text, std::string& problem) {
  std::vector<Share> mix;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto equals = part.find('=');
    Share share{find_protocol(part.substr(0, equals)), 1};
    if (share.protocol == nullptr) {
      problem = "there is no protocol '" + std::string(part.substr(0, equals)) + "'; there are";
      for (const auto& protocol : protocols()) problem += ' ' + std::string(protocol.name);
      return std::nullopt;
    }
    if (equals != std::string_view::npos) {
      const auto number = part.substr(equals + 1);
      const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), share.weight);
      if (failed != std::errc() || end != number.data() + number.size() || !(share.weight >= 0) ||
          share.weight > 1e9) {
        problem = "'" + std::string(part) + "' has no weight; write for example poll=40";
        return std::nullopt;
      }
    }
    mix.push_back(share);
  }
  double sum = 0;
  for (const auto& share : mix) sum += share.weight;
  if (!(sum > 0)) {
    problem = "the mix is empty; write for example poll=40,drogue-coap=20";
    return std::nullopt;
  }
  return mix;
}

std::optional<Milliseconds> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  constexpr std::int64_t kMost = 1'000'000'000'000;
  if (text.empty()) return std::nullopt;
  std::int64_t sum = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || number < 0 || number > kMost) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.substr(0, text.find_first_of("0123456789"));
    const auto* found = std::ranges::find(kUnits, unit, &std::pair<std::string_view, std::int64_t>::first);
    if (found == std::end(kUnits)) return std::nullopt;
    if (number > kMost / found->second) return std::nullopt;
    sum += number * found->second;
    if (sum > kMost) return std::nullopt;
    text.remove_prefix(unit.size());
  }
  return Milliseconds(sum);
}

// One device with its link and its timer.
class Fleet::Node {
 public:
  Node(Core& core, std::unique_ptr<Device> device, std::unique_ptr<Link> link, std::string_view protocol);

  void begin(Milliseconds after);
  void stop() {
    timer_.cancel();
    link_->close();
  }
  const Device& device() const { return *device_; }
  std::string_view protocol() const { return protocol_; }

 private:
  void act(const Action& action);
  void ask(const Ask& ask);

  Core& core_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Link> link_;
  std::string_view protocol_;
  asio::steady_timer timer_;
  bool settled_ = false;
};

class Fleet::Core {
 public:
  explicit Core(Settings wanted) : settings(std::move(wanted)), signals(io), tick(io), end(io) {
    double sum = 0;
    for (const auto& share : settings.mix) sum += share.weight;
    for (std::size_t i = 0; i < settings.devices; ++i) add(i, sum);
  }

  void add(std::size_t index, double sum) {
    Chance chance(settings.seed, kPlaceStream + index);
    double place = chance.share() * sum;
    const auto* share = &settings.mix.front();
    for (const auto& each : settings.mix) {
      if (each.weight <= 0) continue;
      share = &each;
      if (place < each.weight) break;
      place -= each.weight;
    }
    const auto& protocol = *share->protocol;
    Profile profile;
    profile.id = settings.prefix + std::to_string(index);
    profile.type = settings.type;
    profile.version = settings.version;
    profile.token = token_of(profile.id);
    profile.fate = roll(settings.seed, index, settings.odds);
    profile.seed = chance.next();
    profile.coap = protocol.coap;
    profile.habits = &settings.habits;
    auto link = protocol.coap ? make_coap_link(io, settings.links, traffic, *settings.coap, chance.next())
                              : make_http_link(io, settings.links, traffic, *settings.http);
    nodes.push_back(
        std::make_unique<Node>(*this, protocol.make(std::move(profile)), std::move(link), protocol.name));
    starts.push_back(Milliseconds(
        static_cast<Milliseconds::rep>(static_cast<double>(settings.spread.count()) * chance.share())));
  }

  std::string token_of(const std::string& id) const {
    const auto found =
        std::ranges::lower_bound(settings.tokens, id, {}, &std::pair<std::string, std::string>::first);
    return found != settings.tokens.end() && found->first == id ? found->second : settings.token;
  }

  Milliseconds now() const { return std::chrono::duration_cast<Milliseconds>(Clock::now() - begin); }

  void settled_changed(bool is) {
    settled += is ? 1 : -1;
    if (settings.until_idle && settled == static_cast<std::int64_t>(nodes.size())) stop();
  }

  void checked_in(Clock::duration took) {
    latencies.push_back(
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  }

  void stop() {
    if (std::exchange(stopped, true)) return;
    elapsed = now();
    for (const auto& node : nodes) node->stop();
    io.stop();
  }

  Settings settings;
  asio::io_context io{1};
  Traffic traffic;
  asio::signal_set signals;
  asio::steady_timer tick;
  asio::steady_timer end;
  Clock::time_point begin = Clock::now();
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<Milliseconds> starts;
  std::vector<std::uint32_t> latencies;  // of check-ins, microseconds
  std::int64_t settled = 0;
  Milliseconds elapsed{0};
  bool stopped = false;
};

Fleet::Node::Node(Core& core, std::unique_ptr<Device> device, std::unique_ptr<Link> link,
                  std::string_view protocol)
    : core_(core), device_(std::move(device)), link_(std::move(link)), protocol_(protocol), timer_(core.io) {}

void Fleet::Node::begin(Milliseconds after) {
  timer_.expires_after(after);
  timer_.async_wait([this](auto error) {
    if (!error) act(device_->begin(core_.now()));
  });
}

void Fleet::Node::act(const Action& action) {
  if (device_->settled() != settled_) {
    settled_ = device_->settled();
    core_.settled_changed(settled_);
  }
  if (core_.stopped) return;
  if (const auto* question = std::get_if<Ask>(&action)) return ask(*question);
  if (const auto* pause = std::get_if<Rest>(&action)) {
    timer_.expires_after(pause->time);
    timer_.async_wait([this](auto error) {
      if (!error && !core_.stopped) act(device_->rested(core_.now()));
    });
    return;
  }
  link_->close();
}

void Fleet::Node::ask(const Ask& question) {
  const auto asked = Clock::now();
  link_->ask(question, [this, asked, check_in = question.check_in](const Reply* reply, std::string_view why) {
    if (core_.stopped) return;
    if (reply == nullptr) return act(device_->unanswered(why, core_.now()));
    if (check_in && reply->status < 500) core_.checked_in(Clock::now() - asked);
    act(device_->answered(*reply, core_.now()));
  });
}

Fleet::Fleet(Settings settings) : core_(std::make_unique<Core>(std::move(settings))) {}
Fleet::~Fleet() = default;

void Fleet::run(const std::function<void(const Census&)>& progress) {
  auto& core = *core_;
  core.begin = Clock::now();
  for (std::size_t i = 0; i < core.nodes.size(); ++i) core.nodes[i]->begin(core.starts[i]);
  core.signals.add(SIGINT);
  core.signals.add(SIGTERM);
  core.signals.async_wait([&core](auto error, int) {
    if (!error) core.stop();
  });
  if (core.settings.limit) {
    core.end.expires_after(*core.settings.limit);
    core.end.async_wait([&core](auto error) {
      if (!error) core.stop();
    });
  }
  std::function<void()> next = [&] {
    core.tick.expires_after(std::chrono::seconds(1));
    core.tick.async_wait([&](auto error) {
      if (error || core.stopped) return;
      if (progress) progress(census());
      next();
    });
  };
  next();
  core.io.run();
  if (progress) progress(census());
}

Census Fleet::census() const {
  Census census;
  census.devices = core_->nodes.size();
  census.check_ins = core_->latencies.size();
  for (const auto& node : core_->nodes) {
    const auto& device = node->device();
    census.settled += device.settled() ? 1 : 0;
    census.busy += device.busy() ? 1 : 0;
    census.gone += device.gone() ? 1 : 0;
    census.updated += device.version() != device.profile().version ? 1 : 0;
    census.bytes += device.record().bytes;
  }
  return census;
}

bool Fleet::as_expected() const {
  return std::ranges::all_of(core_->nodes, [](const auto& node) {
    const auto& record = node->device().record();
    return node->device().settled() && record.violations.empty() && record.mismatched == 0;
  });
}

std::string Fleet::report() const {
  json::array devices;
  for (const auto& node : core_->nodes) {
    const auto& device = node->device();
    const auto& record = device.record();
    json::array changes;
    for (const auto& change : record.changes) {
      json::object entry{{"ms", change.at.count()}, {"state", change.state}};
      if (!change.version.empty()) entry["version"] = change.version;
      changes.push_back(std::move(entry));
    }
    devices.push_back(json::object{
        {"id", device.profile().id},
        {"protocol", node->protocol()},
        {"fate", to_string(device.profile().fate.end)},
        {"crashes", device.profile().fate.crashes},
        {"began_with", device.profile().version},
        {"version", device.version()},
        {"settled", device.settled()},
        {"updates", record.updates},
        {"bytes", record.bytes},
        {"checked", record.checked},
        {"mismatched", record.mismatched},
        {"unchecked", record.unchecked},
        {"unanswered", record.unanswered},
        {"violations", json::array(record.violations.begin(), record.violations.end())},
        {"changes", std::move(changes)},
    });
  }
  auto latencies = core_->latencies;
  std::ranges::sort(latencies);
  const auto at = [&](double share) -> double {
    if (latencies.empty()) return 0;
    return latencies[static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1))] / 1000.0;
  };
  const auto& traffic = core_->traffic;
  const auto summary = census();
  json::object out{
      {"seed", core_->settings.seed},
      {"seconds", seconds(core_->elapsed)},
      {"as_expected", as_expected()},
      {"summary",
       json::object{{"devices", summary.devices},
                    {"settled", summary.settled},
                    {"gone", summary.gone},
                    {"updated", summary.updated},
                    {"bytes", summary.bytes},
                    {"check_ins", summary.check_ins},
                    {"check_in_ms", json::object{{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}}},
                    {"requests", traffic.requests},
                    {"connections", traffic.connections},
                    {"bytes_in", traffic.bytes_in},
                    {"retransmissions", traffic.retransmissions},
                    {"datagrams_lost", traffic.lost},
                    {"datagrams_duplicated", traffic.duplicated}}},
      {"devices", std::move(devices)},
  };
  return json::serialize(out) + "\n";
}

}  // namespace otagate::sim

#include "hawkbit/hawkbit_store.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "common/object_store/store_calls.hpp"

namespace otagate::hawkbit {
namespace {

using sdk::Failure;

// Each request of a range is one of the 1,000 reports of an action that hawkBit keeps.
constexpr std::uint64_t kMinSegment = std::uint64_t{8} << 20;
constexpr std::size_t kMaxDevice = 256;

std::unique_ptr<Server> make_server(const sdk::StoreHost& host) {
  ServerOptions options;
  options.url = host.option("url").string();
  options.tenant = host.option("tenant").string("DEFAULT");
  options.gateway_token = host.option("gateway_token").string("");
  options.target_tokens =
      common::value_or_throw(parse_target_tokens(host.option("target_tokens").string("")));
  auto server = common::value_or_throw(Server::make(std::move(options), common::make_http_client(host)));
  if (!server->tls() && !server->loopback()) {
    host.warn("'url' is not https: whoever is on the way can read the tokens and change what is assigned");
  }
  return server;
}

PollerOptions make_options(const sdk::StoreHost& host) {
  using std::chrono::milliseconds;
  PollerOptions options;
  options.bounds.shortest = milliseconds(host.option("poll_min").integer(10'000));
  options.bounds.longest = milliseconds(host.option("poll_max").integer(3'600'000));
  if (options.bounds.longest < options.bounds.shortest)
    throw Failure(OTAGATE_INVALID, "'poll_max' is less than 'poll_min'");
  options.bounds.spacing = milliseconds(1000) / host.option("poll_rate").integer(20);
  options.threads = static_cast<std::size_t>(host.option("poll_parallel").integer(4));
  options.targets = static_cast<std::size_t>(host.option("max_targets").integer(10'000));
  const sdk::Option rules = host.option("components");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const sdk::Option rule = rules.at(i);
    std::string what = rule["part"].string();
    if (const std::string file = rule["file"].string(""); !file.empty()) what += "/" + file;
    if (!options.components.emplace(what, rule["component"].string()).second)
      throw Failure(OTAGATE_INVALID, "'components' has two rules for '" + what + "'");
  }
  return options;
}

bool of_cancel(std::uint32_t kind) {
  return kind == OTAGATE_FEEDBACK_CANCELLED || kind == OTAGATE_FEEDBACK_CANCEL_REFUSED;
}

void check_device(std::string_view device) {
  if (!device.empty() && device.size() <= kMaxDevice) return;
  throw Failure(OTAGATE_INVALID, "a controller id of hawkBit has 1 to 256 bytes");
}

}  // namespace

HawkbitStore::HawkbitStore(sdk::StoreHost& host)
    : server_(make_server(host)),
      artifacts_(*server_),
      poller_(host, *server_, artifacts_, make_options(host)) {}

sdk::Caps HawkbitStore::caps() {
  return {OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_ASSIGNMENTS, kMinSegment, 2};
}

// DDI has no list: what there is comes with assignments. So that whoever looks at the store's last sync
// learns of it, the list fails while no target can be polled.
void HawkbitStore::list(const sdk::ListRequest&, sdk::ListSink&) {
  if (auto trouble = poller_.trouble()) common::throw_failure(std::move(*trouble));
}

void HawkbitStore::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  artifacts_.fetch(request, sink);
}

void HawkbitStore::watch(std::string_view device, const sdk::Pairs& attributes, sdk::Call&) {
  check_device(device);
  poller_.watch(device, attributes);
}

void HawkbitStore::unwatch(std::string_view device, sdk::Call&) { poller_.unwatch(device); }

void HawkbitStore::feedback(const sdk::Feedback& said, sdk::Call& call) {
  if (!valid_action(said.external_id))
    throw Failure(OTAGATE_NOT_FOUND, "that is no action of hawkBit's: they are numbers");
  // A host that has never heard of what is cancelled does not know whose it was.
  const std::string device =
      said.device.empty() ? poller_.device_of_cancel(said.external_id) : std::string(said.device);
  if (device.empty()) throw Failure(OTAGATE_NOT_FOUND, "no target is known that has that action");
  check_device(device);
  if (said.kind == OTAGATE_FEEDBACK_PROGRESS &&
      !poller_.progress_is_news(device, said.external_id, percent(said.done, said.total)))
    return;
  const auto message = feedback_message(said, poller_.cancel_id(device, said.external_id));
  if (!message) throw Failure(OTAGATE_UNSUPPORTED, "hawkBit has no word for that kind of feedback");
  poller_.telling(device, said.external_id, said.kind);
  const auto sent = server_->post(device, *message, [&call] { return call.stopped(); });
  if (sent) return poller_.told(device, said.external_id, said.kind, true);

  Refusal refusal = sent.error();
  // An action that is not, or no longer, being cancelled: there is nobody to answer.
  if (of_cancel(said.kind) && refusal.http_status == 405) refusal.status = OTAGATE_NOT_FOUND;
  poller_.told(device, said.external_id, said.kind, refusal.status == OTAGATE_NOT_FOUND);
  if (refusal.status == OTAGATE_THROTTLED) poller_.hold(refusal.retry_after_ms);
  common::throw_failure(std::move(refusal));
}

}  // namespace otagate::hawkbit

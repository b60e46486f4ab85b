#include "gateway/webhooks.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "common/http_client/classify.hpp"
#include "common/http_client/http_client.hpp"
#include "core/clock.hpp"
#include "core/digest.hpp"
#include "core/log.hpp"
#include "core/redact.hpp"
#include "state/settings.hpp"

namespace otagate::gateway {

namespace json = boost::json;

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::size_t kPage = 100;
constexpr milliseconds kFirstPause = 1s;
constexpr milliseconds kLongestPause = 5min;
// Events that nobody wants move the mark so often at most.
constexpr std::int64_t kSkippedAtOnce = 100;

std::string body_of(const state::Event& event, const std::string& gateway) {
  json::object body{{"gateway", gateway},       {"sequence", event.sequence},
                    {"kind", event.kind},       {"severity", state::to_string(event.severity)},
                    {"time_ms", event.wall_ms}, {"clock_synchronised", event.clock_synchronised},
                    {"message", event.message}};
  if (event.instance) body["instance"] = *event.instance;
  if (event.device) body["device"] = *event.device;
  if (event.firmware) body["firmware"] = *event.firmware;
  if (event.blob) body["sha256"] = event.blob->hex();
  boost::system::error_code error;
  if (!event.data.empty()) {
    json::value data = json::parse(event.data, error);
    if (!error) body["data"] = std::move(data);
  }
  return json::serialize(body);
}

// Between half and all of it: receivers that came back are not met by everybody at once.
milliseconds jittered(milliseconds pause) {
  thread_local std::minstd_rand dice{std::random_device{}()};
  return pause / 2 + milliseconds(std::uniform_int_distribution<std::int64_t>(0, pause.count() / 2)(dice));
}

}  // namespace

std::string webhook_signature(std::string_view secret, std::int64_t wall_ms, std::string_view body) {
  const std::string time = std::to_string(wall_ms);
  const std::string text = time + "." + std::string(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
  return "t=" + time + ",v1=" + to_hex(std::as_bytes(std::span(mac.data(), size)));
}

Webhook::Webhook(config::Webhook config, std::string gateway, state::Database& db, EventLog& events)
    : config_(std::move(config)), gateway_(std::move(gateway)), db_(db), events_(events) {
  follower_ = events_.follow([this](const state::Event& event) {
    {
      const std::scoped_lock lock(mutex_);
      newest_ = event.sequence;
    }
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

Webhook::~Webhook() {
  events_.unfollow(follower_);
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Webhook::stopping() const {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

bool Webhook::wait_for_events(std::int64_t after) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || newest_ > after; });
  return !stopping_;
}

bool Webhook::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stopping_; });
  return !stopping_;
}

// A new one is told what happens from now on.
std::int64_t Webhook::start_after() {
  const auto mark =
      db_.read_sync([&](state::Reader& db) { return state::get_setting(db, "webhook:" + config_.name); });
  std::int64_t after = 0;
  if (mark && *mark) {
    std::from_chars((*mark)->data(), (*mark)->data() + (*mark)->size(), after);
    return after;
  }
  if (const auto last = db_.read_sync([](state::Reader& db) { return state::last_event(db); })) after = *last;
  remember(after);
  return after;
}

void Webhook::remember(std::int64_t sequence) {
  db_.write([key = "webhook:" + config_.name, text = std::to_string(sequence)](state::Writer& db) {
    return state::put_setting(db, key, text);
  });
}

bool Webhook::wanted(const state::Event& event) const {
  return std::any_of(config_.events.begin(), config_.events.end(), [&](const std::string& prefix) {
    return prefix == "*" || event.kind == prefix || (prefix.ends_with('.') && event.kind.starts_with(prefix));
  });
}

void Webhook::run() {
  std::int64_t after = start_after();
  std::int64_t marked = after;
  for (;;) {
    state::EventQuery query;
    query.after = after;
    query.limit = kPage;
    const auto page = db_.read_sync([&](state::Reader& db) { return state::page_events(db, query); });
    if (!page) {
      log("webhooks").warn("{}: reading the event log: {}", config_.name, page.error().message());
      if (!pause(kFirstPause)) return;
      continue;
    }
    for (const state::Event& event : *page) {
      const bool sent = wanted(event);
      if (sent && !deliver(event)) return;
      after = event.sequence;
      if (!sent && after - marked < kSkippedAtOnce) continue;
      remember(after);
      marked = after;
    }
    if (page->size() < kPage && !wait_for_events(after)) return;
    if (stopping()) return;
  }
}

bool Webhook::deliver(const state::Event& event) {
  milliseconds wait = kFirstPause;
  bool failing = false;
  for (;;) {
    std::string why;
    milliseconds retry_after{0};
    switch (post(event, why, retry_after)) {
      case Outcome::delivered:
        if (failing)
          events_.add("webhook_recovered", state::Severity::info, config_.name, "the receiver answers again");
        return true;
      case Outcome::gone:
        events_.add("webhook_gone", state::Severity::warning, config_.name,
                    why + "; nothing more is sent to it until the configuration is read again");
        return false;
      case Outcome::again: break;
    }
    if (stopping()) return false;
    if (!failing)
      events_.add("webhook_failing", state::Severity::warning, config_.name, why + "; it is tried again");
    failing = true;
    if (!pause(std::max(jittered(wait), std::min(retry_after, kLongestPause)))) return false;
    wait = std::min(2 * wait, kLongestPause);
  }
}

Webhook::Outcome Webhook::post(const state::Event& event, std::string& why, milliseconds& retry_after) {
  common::HttpClientOptions options;
  options.ca_file = config_.ca_file.string();
  auto client = common::HttpClient::create(std::move(options));
  if (!client) {
    why = client.error().message;
    return Outcome::again;
  }
  const std::string body = body_of(event, gateway_);
  common::HttpRequest request;
  request.method = "POST";
  request.url = config_.url;
  request.timeout_ms = static_cast<std::uint64_t>(config_.timeout.count());
  request.headers = {{"Content-Type", "application/json"},
                     {"X-Otagate-Event", event.kind},
                     {"X-Otagate-Delivery", std::to_string(event.sequence)}};
  if (!config_.secret.empty())
    request.headers.push_back(
        {"X-Otagate-Signature", webhook_signature(config_.secret.reveal(), wall_ms(), body)});
  request.body = common::HttpBody{.data = body, .size = body.size()};
  request.cancelled = [this] { return stopping(); };
  const auto response = (*client)->perform(request);
  if (!response) {
    why = response.error().message;
    return Outcome::again;
  }
  const long status = response->head.status;
  if (status >= 200 && status < 300) return Outcome::delivered;
  why = "POST " + redacted_text("", config_.url) + ": " + std::to_string(status) + " " +
        std::string(common::reason_phrase(status));
  retry_after = milliseconds(common::retry_after_ms(response->head));
  return status == 410 ? Outcome::gone : Outcome::again;
}

void Webhooks::configure(const std::vector<config::Webhook>& webhooks, const std::string& gateway) {
  std::erase_if(running_, [&](const auto& running) {
    return std::none_of(webhooks.begin(), webhooks.end(), [&](const config::Webhook& wanted) {
      return wanted.enabled && wanted == running->config();
    });
  });
  for (const config::Webhook& wanted : webhooks) {
    const bool runs = std::any_of(running_.begin(), running_.end(),
                                  [&](const auto& running) { return running->config().name == wanted.name; });
    if (wanted.enabled && !runs) running_.push_back(std::make_unique<Webhook>(wanted, gateway, db_, events_));
  }
}

}  // namespace otagate::gateway

#include "routes.hpp"

#include <algorithm>

#include "common/catalog_json/catalog_json.hpp"

namespace otagate::coap {
namespace {

// At most a tenth of the time goes into waiting for the host, after a burst that clients do not notice.
constexpr std::chrono::milliseconds kWaitBurst{1000};
constexpr int kWaitShare = 10;
// The link to the next page leaves out a limit that is the default.
static_assert(kDefaultPage == plugins::kDefaultPage && kMaxPage == plugins::kMaxPage);
// A "no" that was not taken back by a new catalog version is asked again all the same.
constexpr std::chrono::seconds kAskAgain{10};

}  // namespace

Routes::Routes(Gateway& gateway, RouteSettings settings, std::uint64_t seed)
    : gateway_(gateway),
      settings_(std::move(settings)),
      seed_(seed),
      wait_credit_(kWaitBurst),
      pins_(settings_.stream ? kMaxStreamPins : kMaxPins, seed) {}

Found Routes::find(const Ask& ask) {
  now_ = ask.now;
  gateway_.run_pending();
  auto& route = touch(ask);
  if (stale(route)) {
    refresh(route);
    gateway_.run_pending();
  }
  // In mid-transfer what is at hand is right; at its start, and without anything, a moment is well spent.
  if (route.refreshing != 0 && route.prompt && (ask.offset == 0 || !route.current)) {
    wait_until([&] { return route.refreshing == 0 || !route.prompt; });
  }
  return choose(route, ask);
}

Routes::Route& Routes::touch(const Ask& ask) {
  const auto it = index_.find(ask.key);
  if (it != index_.end()) {
    order_.splice(order_.begin(), order_, it->second);
  } else {
    if (order_.size() >= kMaxRoutes) {
      // From the back: the kept ones are few, bounded by the number of observers.
      auto victim = std::prev(order_.end());
      while (victim->kept && victim != order_.begin()) --victim;
      index_.erase(victim->key);
      order_.erase(victim);
    }
    auto& route = order_.emplace_front();
    route.key = std::string(ask.key);
    route.resource = ask.target.resource;
    route.latest = ask.target.latest();
    route.name = std::string(ask.target.name);
    route.version = std::string(ask.target.version);
    route.type = std::string(ask.target.type);
    route.store = std::string(ask.target.store);
    route.cursor = std::string(ask.target.cursor);
    route.digest = std::string(ask.target.digest);
    route.limit = ask.target.limit;
    route.id = hash_bytes(ask.key.data(), ask.key.size(), seed_);
    route.max_szx = settings_.max_szx;
    index_.emplace(route.key, order_.begin());
  }
  order_.front().used = now_;
  return order_.front();
}

Routes::Route* Routes::refreshed(std::string_view key, std::uint64_t serial) {
  const auto it = index_.find(key);
  return it != index_.end() && it->second->refreshing == serial ? &*it->second : nullptr;
}

bool Routes::stale(const Route& route) const {
  if (route.refreshing != 0) return false;
  if (route.catalog != gateway_.catalog_version() || now_ >= route.retry_at) return true;
  return route.current ? !route.current->usable() : route.firmware == 0 && !route.problem;
}

void Routes::refresh(Route& route) {
  route.asked = gateway_.catalog_version();
  route.refreshing = ++serial_;
  route.prompt = true;
  const auto serial = serial_;
  if (route.resource == Resource::kCatalog) {
    const CatalogQuery query{.name = route.name,
                             .type = route.type,
                             .store = route.store,
                             .cursor = route.cursor,
                             .limit = route.limit};
    gateway_.catalog(query, [this, key = route.key, serial](const Outcome<FirmwarePage>& outcome) {
      if (auto* found = refreshed(key, serial)) on_catalog(*found, outcome);
    });
    return;
  }
  const ResolveQuery query{
      .name = route.name, .version = route.version, .type = route.type, .digest = route.digest};
  gateway_.resolve(query, [this, key = route.key, serial](const Outcome<std::vector<Firmware>>& outcome) {
    if (auto* found = refreshed(key, serial)) on_resolved(*found, outcome);
  });
}

void Routes::on_catalog(Route& route, const Outcome<FirmwarePage>& outcome) {
  if (!outcome) return fail(route, outcome.status, outcome.retry_after_ms);
  const plugins::CatalogPage page{
      .name = route.name, .type = route.type, .store = route.store, .limit = route.limit};
  auto document = std::make_shared<Document>(
      plugins::catalog_json(outcome.value.items, plugins::next_page_path(page, outcome.value.cursor)), kJson);
  document->max_szx = route.max_szx;
  std::string tag(document->etag.begin(), document->etag.end());
  if (tag == route.tag && route.current) return settle(route, route.current, std::move(tag));
  if (route.kept) kept_news_ = true;
  settle(route, std::move(document), std::move(tag));
}

void Routes::on_resolved(Route& route, const Outcome<std::vector<Firmware>>& outcome) {
  const auto& items = outcome.value;
  if (outcome.status == OTAGATE_AMBIGUOUS && !items.empty()) {
    auto document = std::make_shared<Document>(plugins::choices_json(items), kJson);
    document->code = code_of(4, 9);
    document->max_szx = route.max_szx;
    std::string tag(document->etag.begin(), document->etag.end());
    return settle(route, std::move(document), std::move(tag));
  }
  if (!outcome || items.empty()) {
    return fail(route, outcome ? OTAGATE_NOT_FOUND : outcome.status, outcome.retry_after_ms);
  }
  const auto& firmware = items.front();
  const auto& tag = route.resource == Resource::kBlob ? route.digest : firmware.tag;
  route.firmware = firmware.id;
  route.max_szx = szx_for(firmware.type);
  if (settings_.stream) return settle(route, nullptr, tag);
  if (route.current && route.current->usable() && !tag.empty() && route.tag == tag) {
    return settle(route, route.current, tag);
  }
  // A fill takes longer than a peer may hold up the others.
  route.prompt = (firmware.flags & OTAGATE_FIRMWARE_CACHED) != 0;
  const OpenQuery query{.firmware = firmware.id, .peer = {}, .deadline = kOpenDeadline};
  gateway_.open(query, [this, key = route.key, serial = route.refreshing](Outcome<OpenBlob> opened) {
    if (auto* found = refreshed(key, serial)) {
      on_opened(*found, std::move(opened));
    } else if (opened) {
      gateway_.close(opened.value.reader);
    }
  });
}

void Routes::on_opened(Route& route, Outcome<OpenBlob> outcome) {
  if (!outcome) return fail(route, outcome.status, outcome.retry_after_ms);
  if (route.resource == Resource::kBlob) outcome.value.tag = route.digest;
  auto tag = outcome.value.tag;
  auto blob = std::make_shared<Blob>(gateway_, outcome.value);
  blob->max_szx = route.max_szx;
  blob->moves = route.latest;
  settle(route, std::move(blob), std::move(tag));
}

void Routes::settle(Route& route, EntityPtr entity, std::string tag) {
  if (entity != route.current && tag != route.tag) keep_previous(route);
  route.current = std::move(entity);
  route.tag = std::move(tag);
  route.problem = {};
  route.retry_at = Clock::time_point::max();
  route.catalog = route.asked;
  route.refreshing = 0;
}

void Routes::fail(Route& route, std::uint32_t status, std::uint64_t retry_after_ms) {
  const std::chrono::milliseconds retry_after(
      std::min<std::uint64_t>(retry_after_ms, std::uint64_t{kMaxRetry} * 1000));
  auto problem = problem_of(status, retry_after);
  route.refreshing = 0;
  route.catalog = route.asked;
  if (problem.code == code_of(5, 3)) {
    route.retry_at = now_ + std::chrono::seconds(problem.max_age);
    // Nothing is known against what is being served.
    if (route.current && route.current->usable()) return;
  } else {
    route.retry_at = now_ + kAskAgain;
  }
  keep_previous(route);
  route.current = nullptr;
  route.firmware = 0;
  route.tag.clear();
  route.problem = std::move(problem);
}

bool Routes::previous_alive(const Route& route) const {
  return route.previous && now_ - route.previous_used < kIdle;
}

void Routes::keep_previous(Route& route) {
  // A second change while peers still read the oldest bytes: those who began in between are pinned.
  if (previous_alive(route) || !route.current || route.current->code != code_of(2, 5)) return;
  if (now_ - route.current_used >= kIdle) return;
  route.previous = route.current;
  route.previous_used = route.current_used;
}

Found Routes::waiting(const Route& route) const {
  if (route.problem) {
    auto problem = route.problem;
    if (problem.code == code_of(5, 3)) {
      problem.max_age = retry_seconds(std::chrono::ceil<std::chrono::milliseconds>(route.retry_at - now_));
    }
    return {nullptr, std::move(problem)};
  }
  return {nullptr, not_yet(std::chrono::seconds(kMinRetry))};
}

Found Routes::choose(Route& route, const Ask& ask) {
  if (settings_.stream && !route.current && route.firmware != 0) return choose_streaming(route, ask);
  if (route.latest || previous_alive(route)) {
    const PinTable::Key key{ask.peer, route.id};
    auto* pin = pins_.find(key, now_);
    const bool pinned = pin != nullptr && pin->entity != nullptr;
    if (ask.offset > 0 || (pinned && pin->first_mid == ask.mid)) {
      if (pinned && pin->entity->usable()) return {pin->entity, {}};
      if (pinned) return {nullptr, problem_of(OTAGATE_REJECTED, {})};
      if (previous_alive(route)) {
        route.previous_used = now_;
        if (!route.previous->usable()) return {nullptr, problem_of(OTAGATE_REJECTED, {})};
        return {route.previous, {}};
      }
    }
    if (route.current && route.current->code == code_of(2, 5)) {
      auto& fresh = pins_.put(key, now_);
      fresh.entity = route.current;
      fresh.first_mid = ask.mid;
    } else {
      pins_.erase(key);
    }
  }
  if (!route.current || !route.current->usable()) return waiting(route);
  route.current_used = now_;
  return {route.current, {}};
}

Found Routes::choose_streaming(Route& route, const Ask& ask) {
  const PinTable::Key key{ask.peer, route.id};
  auto* pin = pins_.find(key, now_);
  const bool starts = ask.offset == 0 && (pin == nullptr || pin->first_mid != ask.mid);
  if (pin == nullptr || starts || pin->problem) {
    pin = &pins_.put(key, now_);
    pin->first_mid = ask.mid;
    pin->opening = ++serial_;
    const auto peer = to_string(ask.peer);
    const OpenQuery query{.firmware = route.firmware,
                          .peer = peer,
                          .offset = ask.offset,
                          .verified_only = false,
                          .deadline = kOpenDeadline};
    const auto max_szx = route.max_szx;
    const auto digest = route.digest;
    gateway_.open(query, [this, key, serial = pin->opening, max_szx, digest,
                          moves = route.latest](Outcome<OpenBlob> opened) {
      auto* found = pins_.find(key, now_);
      if (found == nullptr || found->opening != serial) {
        if (opened) gateway_.close(opened.value.reader);
        return;
      }
      found->opening = 0;
      if (!opened) {
        const std::chrono::milliseconds retry_after(
            std::min<std::uint64_t>(opened.retry_after_ms, std::uint64_t{kMaxRetry} * 1000));
        found->problem = problem_of(opened.status, retry_after);
        return;
      }
      if (!digest.empty()) opened.value.tag = digest;
      auto blob = std::make_shared<Blob>(gateway_, opened.value);
      blob->max_szx = max_szx;
      blob->moves = moves;
      found->entity = std::move(blob);
    });
    gateway_.run_pending();
    wait_until([&] {
      pin = pins_.find(key, now_);
      return pin == nullptr || pin->opening == 0;
    });
  }
  if (pin == nullptr || pin->opening != 0) return {nullptr, not_yet(std::chrono::seconds(kMinRetry))};
  if (pin->problem) return {nullptr, pin->problem};
  if (!pin->entity->usable()) {
    pins_.erase(key);
    return {nullptr, problem_of(OTAGATE_REJECTED, {})};
  }
  return {pin->entity, {}};
}

unsigned Routes::szx_for(const std::string& type) const {
  const auto it = settings_.max_szx_of_type.find(type);
  return it == settings_.max_szx_of_type.end() ? settings_.max_szx : std::min(it->second, settings_.max_szx);
}

template <class Done>
void Routes::wait_until(Done done) {
  if (done()) return;
  const auto begin = Clock::now();
  wait_credit_ = std::min<Clock::duration>(kWaitBurst, wait_credit_ + (begin - credit_at_) / kWaitShare);
  const auto deadline = begin + std::min<Clock::duration>(kWait, wait_credit_);
  while (!done() && Clock::now() < deadline) gateway_.wait_pending(deadline);
  credit_at_ = Clock::now();
  wait_credit_ -= credit_at_ - begin;
}

void Routes::drop(const Ask& ask, const Entity* entity) {
  const auto it = index_.find(ask.key);
  if (it == index_.end()) return;
  auto& route = *it->second;
  pins_.erase({ask.peer, route.id});
  if (route.previous.get() == entity) route.previous = nullptr;
  if (route.current.get() != entity) return;
  route.current = nullptr;
  route.firmware = 0;
}

void Routes::keep(std::string_view key) {
  const auto it = index_.find(key);
  if (it != index_.end()) it->second->kept = true;
}

void Routes::keep_none() {
  for (auto& route : order_) route.kept = false;
}

void Routes::refresh_kept(Clock::time_point now) {
  now_ = now;
  for (auto& route : order_) {
    if (route.kept && stale(route)) refresh(route);
  }
}

bool Routes::take_kept_news() {
  if (!kept_news_) return false;
  const bool pending = std::any_of(order_.begin(), order_.end(),
                                   [](const Route& route) { return route.kept && route.refreshing != 0; });
  if (pending) return false;
  kept_news_ = false;
  return true;
}

void Routes::sweep(Clock::time_point now) {
  now_ = now;
  pins_.expire(now - kIdle);
  for (auto it = order_.begin(); it != order_.end();) {
    if (it->previous && !previous_alive(*it)) it->previous = nullptr;
    if (it->kept || it->refreshing != 0 || now - it->used < kIdle) {
      ++it;
      continue;
    }
    index_.erase(it->key);
    it = order_.erase(it);
  }
}

void Routes::clear() {
  index_.clear();
  order_.clear();
  pins_.clear();
}

}  // namespace otagate::coap

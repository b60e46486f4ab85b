#include "devices.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <exception>

#include "codes.hpp"
#include "common/authorization/authorization.hpp"
#include "problem.hpp"

namespace otagate::coap {
namespace {

namespace devices = plugins::devices;

// Longer ones would not leave room for a block.
constexpr std::size_t kMaxCommand = 32;

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Not the same for ("a", "bc") and ("ab", "c").
class Hasher {
 public:
  explicit Hasher(std::uint64_t seed) : hash_(seed) {}
  void add(std::string_view text) {
    add(text.size());
    hash_ = hash_bytes(text.data(), text.size(), hash_);
  }
  void add(std::uint64_t number) { hash_ = hash_bytes(&number, sizeof(number), hash_); }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_;
};

std::uint64_t number_of(const std::optional<Block>& block) {
  return block ? std::uint64_t{block->number} << 8 | (block->more ? 128U : 0U) | block->szx
               : ~std::uint64_t{0};
}

std::string digest_of(std::span<const std::uint8_t> bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

DeviceAnswer plain(std::uint8_t code, std::string_view text = {}, std::uint32_t max_age = 0) {
  DeviceAnswer answer{.code = code, .format = {}, .max_age = {}, .command = {}, .body = {}};
  if (max_age != 0) answer.max_age = max_age;
  if (!text.empty()) answer.body = std::make_shared<const std::string>(text);
  return answer;
}

DeviceAnswer not_now(std::string_view text, std::uint32_t max_age) {
  return plain(code_of(5, 3), text, max_age);
}

}  // namespace

// What the request consists of, until its protocol has it.
struct Devices::Work {
  ExchangePtr exchange;
  devices::Method method = devices::Method::get;
  std::vector<std::string> path;
  std::vector<std::pair<std::string, std::string>> query;
  std::string content_type;
  std::string accept;
  std::string body;
  std::string peer;
  std::string base_url;
  std::string authorization;
};

Devices::Devices(Protocols protocols, Gateway& gateway, devices::Gateway& device_gateway,
                 const sdk::Host& host, std::uint64_t seed)
    : protocols_(std::move(protocols)),
      gateway_(gateway),
      device_gateway_(device_gateway),
      host_(host),
      seed_(seed),
      exchanges_(seed) {}

const devices::Protocol* Devices::protocol_for(const std::vector<std::string>& path) const {
  return devices::protocol_for(protocols_, path);
}

ExchangePtr Devices::ask(Asked asked) {
  Hasher hasher(seed_);
  hasher.add(static_cast<std::uint64_t>(asked.method));
  for (const auto& segment : asked.path) hasher.add(segment);
  for (const auto& [key, value] : asked.query) {
    hasher.add(key);
    hasher.add(value);
  }
  const auto what = hasher.value();
  hasher.add(text_of(asked.token));
  hasher.add(number_of(asked.block1));
  hasher.add(number_of(asked.block2));
  hasher.add(text_of(asked.authorization));
  hasher.add(text_of(asked.payload));
  if (auto known = exchanges_.find(asked.peer, asked.mid, hasher.value())) return known;

  auto exchange = std::make_shared<Exchange>();
  exchange->peer = asked.peer;
  exchange->mid = asked.mid;
  exchange->what = what;
  exchange->content = hasher.value();
  exchange->block1 = asked.block1;
  exchange->asked = asked.block2.value_or(Block{});
  exchange->at = asked.now;
  exchanges_.put(exchange);

  if (exchange->asked.number != 0) {
    const auto* kept = exchanges_.kept(asked.peer, what, asked.now);
    settle(exchange, kept != nullptr ? *kept : plain(code_of(4, 8), "start again at block 0"));
    return exchange;
  }
  auto work = std::make_shared<Work>();
  if (!gather(exchange, asked, work->body)) return exchange;
  work->exchange = exchange;
  work->method = asked.method;
  work->path = std::move(asked.path);
  work->query = std::move(asked.query);
  if (asked.format) work->content_type = media_type_of(*asked.format);
  if (asked.format && work->content_type.empty()) {
    settle(exchange, plain(code_of(4, 15), "no Content-Format that is known here"));
    return exchange;
  }
  if (asked.accept) work->accept = media_type_of(*asked.accept);
  if (asked.accept && work->accept.empty()) {
    settle(exchange, plain(code_of(4, 6), "no such format here"));
    return exchange;
  }
  work->peer = to_string(asked.peer);
  work->base_url = std::move(asked.base_url);
  work->authorization = text_of(asked.authorization);
  if (waiting_.size() >= kMaxWaiting) forget_answered();
  if (waiting_.size() >= kMaxWaiting) {
    settle(exchange, not_now("too many at once", 5));
    return exchange;
  }
  waiting_.push_back(exchange);
  sign_in(work, false);
  return exchange;
}

// False: the exchange was answered, because the body is not complete.
bool Devices::gather(const ExchangePtr& exchange, const Asked& asked, std::string& body) {
  if (!asked.block1) {
    body = text_of(asked.payload);
    return true;
  }
  // Format and credential stand in every block; those of the last one count.
  switch (bodies_.add(asked.peer, exchange->what, *asked.block1, asked.payload, asked.now, body)) {
    case Bodies::Outcome::kComplete: return true;
    case Bodies::Outcome::kMore: settle(exchange, plain(code_of(2, 31))); return false;
    case Bodies::Outcome::kIncomplete:
      settle(exchange, plain(code_of(4, 8), "start again at block 0"));
      return false;
    case Bodies::Outcome::kTooLarge: settle(exchange, plain(code_of(4, 13), "at most 64 KiB")); return false;
    case Bodies::Outcome::kBusy: settle(exchange, not_now("too many at once", 5)); return false;
    case Bodies::Outcome::kMalformed:
      settle(exchange, plain(code_of(4, 0), "that block is not as long as it says"));
      return false;
  }
  return false;
}

// Once more without Drogue's "@application" where the user is not known with it.
void Devices::sign_in(const std::shared_ptr<Work>& work, bool without_application) {
  if (work->authorization.empty()) return hand_over(work, sdk::Principal{});
  const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(work->authorization.data()),
                               work->authorization.size());
  auto digest = digest_of(bytes);
  const auto epoch = gateway_.epoch();
  if (const auto known = principals_.find(digest);
      known != principals_.end() && known->second.epoch == epoch) {
    return hand_over(work, known->second.principal);
  }
  const auto parsed = plugins::parse_authorization(work->authorization);
  if (!parsed) return settle(work->exchange, plain(code_of(4, 1), parsed.error()));
  const auto device = std::string(plugins::device_of_user(parsed->user));
  sdk::Credential credential;
  const bool basic = parsed->scheme == plugins::Authorization::Scheme::kBasic;
  credential.scheme = basic ? OTAGATE_AUTH_BASIC : OTAGATE_AUTH_BEARER;
  credential.user = without_application ? std::string_view(device) : std::string_view(parsed->user);
  credential.secret = parsed->secret;
  credential.peer = work->peer;
  const bool again = !without_application && !device.empty();
  gateway_.check_credential(credential, [this, work, again, epoch,
                                         digest = std::move(digest)](const Outcome<sdk::Principal>& outcome) {
    if (work->exchange->answer) return;
    if (outcome) {
      // Forgetting all of them costs each peer one more question.
      if (principals_.size() >= kMaxPrincipals) principals_.clear();
      principals_[digest] = Known{epoch, outcome.value};
      return hand_over(work, outcome.value);
    }
    const bool denied = outcome.status == OTAGATE_DENIED || outcome.status == OTAGATE_NOT_FOUND;
    if (denied && again) return sign_in(work, true);
    if (denied) return settle(work->exchange, plain(code_of(4, 1), "the credential is not known here"));
    settle(work->exchange, not_now("ask again", kMinRetry));
  });
}

void Devices::hand_over(const std::shared_ptr<Work>& work, const sdk::Principal& principal) {
  const auto exchange = work->exchange;
  if (exchange->answer) return;
  const auto* protocol = protocol_for(work->path);
  if (protocol == nullptr) return settle(exchange, plain(code_of(4, 4)));
  const sdk::Principal who = principal;
  devices::Request request;
  request.method = work->method;
  request.path = work->path;
  request.query = work->query;
  request.content_type = work->content_type;
  request.accept = work->accept;
  request.body = work->body;
  request.peer = work->peer;
  request.base_url = work->base_url;
  request.principal = who.id;
  request.principal_device = who.device;
  request.principal_type = who.type;
  try {
    protocol->handle(request, device_gateway_,
                     [this, exchange, method = work->method](devices::Response response) {
                       settle(exchange, method, std::move(response));
                     });
  } catch (const std::exception& problem) {
    host_.error(std::string(protocol->name()) + ": " + problem.what());
    settle(exchange, plain(code_of(5, 0)));
  }
}

void Devices::settle(const ExchangePtr& exchange, DeviceAnswer answer) {
  if (exchange->answer) return;
  exchange->answer = std::move(answer);
  if (exchange->late) news_ = true;
}

void Devices::settle(const ExchangePtr& exchange, devices::Method method, devices::Response response) {
  const bool has_body = !response.body.empty() && response.status != 204 && response.status != 304;
  DeviceAnswer answer;
  answer.code = code_of_status(response.status, method, has_body);
  if (response.retry_after != 0) {
    answer.max_age = static_cast<std::uint32_t>(std::min<std::uint64_t>(response.retry_after, 86'400));
  }
  if (response.command.size() <= kMaxCommand) answer.command = std::move(response.command);
  if (has_body) {
    answer.format = content_format_of(response.content_type);
    answer.body = std::make_shared<const std::string>(std::move(response.body));
  }
  settle(exchange, std::move(answer));
}

void Devices::refuse_waiting() {
  for (const auto& one : waiting_) {
    if (const auto exchange = one.lock()) settle(exchange, not_now("stopping", 5));
  }
  waiting_.clear();
}

void Devices::sweep(Clock::time_point now) {
  exchanges_.expire(now);
  bodies_.expire(now);
  forget_answered();
}

void Devices::forget_answered() {
  std::erase_if(waiting_, [](const std::weak_ptr<Exchange>& one) {
    const auto exchange = one.lock();
    return !exchange || exchange->answer;
  });
}

void Devices::clear() {
  waiting_.clear();
  exchanges_.clear();
  principals_.clear();
}

}  // namespace otagate::coap

// Connection: who asks, and for what.
#include <algorithm>
#include <charconv>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/authorization/authorization.hpp"
#include "common/catalog_json/catalog_json.hpp"
#include "http/connection.hpp"
#include "http/resource.hpp"
#include "http/server.hpp"

namespace otagate::http {
namespace {

// A request that still lacks something after so many replies of the host is chasing a catalog that
// changes faster than it can be read.
constexpr unsigned kMaxRounds = 12;

const Problem kNoSuchPath{404,
                          "nothing is served at that path: GET /firmware lists what there is, "
                          "/firmware/<name>/<version> and /blobs/sha256/<hex> are downloads",
                          0};

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_true(std::string_view value) { return value == "1" || value == "true" || value == "yes"; }

tl::expected<std::uint32_t, Problem> page_limit(const Target& target) {
  const std::string_view text = target.parameter("limit");
  if (text.empty()) return plugins::kDefaultPage;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) {
    return tl::unexpected<Problem>(Problem{400, "limit must be a number from 1 to 1000", 0});
  }
  return std::min(value, plugins::kMaxPage);
}

// Of a document that is made anew for each request: the start of its SHA-256.
std::string document_tag(std::string_view body) {
  unsigned char digest[32];
  EVP_Digest(body.data(), body.size(), digest, nullptr, EVP_sha256(), nullptr);
  std::string tag;
  for (std::size_t i = 0; i < 8; ++i) {
    tag += "0123456789abcdef"[digest[i] >> 4];
    tag += "0123456789abcdef"[digest[i] & 15];
  }
  return tag;
}

}  // namespace

void Connection::serve(const Request& request) {
  if (++rounds_ > kMaxRounds) return refuse(Problem{503, "the catalog is changing just now; ask again", 1});
  if (request.method == Method::kUnknown)
    return refuse(Problem{501, "this server has GET, HEAD, POST, PUT and DELETE", 0});
  if (!only_reads(request.method) && protocol_ == nullptr) {
    return refuse(Problem{405, "this resource has GET and HEAD only", 0});
  }
  if (!authenticated(request)) return;
  if (protocol_ != nullptr) return serve_protocol(request);
  if (entry_ && entry_->target == request.target && entry_->principal == principal_ &&
      worker_.fresh(*entry_)) {
    return download(request);
  }
  if (EntryPtr known = worker_.find_entry(principal_, request.target)) {
    adopt(std::move(known));
    return download(request);
  }
  look_up(request);
}

// A request that changes something: its body first.
void Connection::serve_protocol(const Request& request) {
  if (unread_body_) {
    if (!expect_body(request)) return close();
    // From consume() it goes on by itself.
    if (!consuming_) take_kept();
    return;
  }
  auto target = parse_target(request.target);
  if (!target) return refuse(target.error());
  hand_over(request, std::move(*target), *protocol_);
}

// True: principal_ says who asks. Otherwise the request was answered or waits for the host.
bool Connection::authenticated(const Request& request) {
  const Server& server = worker_.server();
  const std::string_view value = request.authorization;
  if (value.data() == nullptr) {
    if (!server.options().anonymous) {
      refuse(Problem{
          401, "this listener serves nobody without a credential: send Authorization: Bearer <token>", 0});
      return false;
    }
    authorization_.clear();
    principal_ = 0;
    who_.reset();
    return true;
  }
  const std::uint64_t epoch = server.host().epoch();
  if (!authorization_.empty() && authorization_epoch_ == epoch && same_secret(authorization_, value))
    return true;
  if (PrincipalPtr known = worker_.find_principal(value, epoch)) {
    authorization_ = value;
    authorization_epoch_ = epoch;
    principal_ = known->id;
    who_ = std::move(known);
    return true;
  }
  const auto parsed = plugins::parse_authorization(value);
  if (!parsed) {
    refuse(Problem{401, parsed.error(), 0});
    return false;
  }
  asked_epoch_ = epoch;
  sdk::Credential credential;
  const bool basic = parsed->scheme == plugins::Authorization::Scheme::kBasic;
  credential.scheme = basic ? OTAGATE_AUTH_BASIC : OTAGATE_AUTH_BEARER;
  credential.user = user_retried_ ? plugins::device_of_user(parsed->user) : std::string_view(parsed->user);
  credential.secret = parsed->secret;
  credential.peer = peer_;
  ask(
      State::kAsking, [&](auto done) { return server.host().check_credential(credential, std::move(done)); },
      &Connection::on_credential);
  return false;
}

void Connection::on_credential(sdk::Outcome<sdk::Principal> outcome) {
  principal_ = 0;
  who_.reset();
  authorization_.clear();
  Request request;
  if (parse_request(head_, request)) return close();
  if (outcome.status == OTAGATE_DENIED && !user_retried_) {
    // A Drogue device names its application too; here a credential's user may be the device alone.
    const auto parsed = plugins::parse_authorization(request.authorization);
    user_retried_ = parsed && !plugins::device_of_user(parsed->user).empty();
    if (user_retried_) return serve(request);
  }
  if (!outcome) {
    // Wrong is wrong, also where nothing would have done.
    if (outcome.status == OTAGATE_NOT_FOUND) outcome.status = OTAGATE_DENIED;
    return refuse_outcome(
        outcome.status, outcome.retry_after_ms,
        outcome.status == OTAGATE_DENIED ? "the credential is not known here" : outcome.message);
  }
  worker_.keep_principal(request.authorization, asked_epoch_,
                         std::make_shared<const sdk::Principal>(std::move(outcome.value)));
  serve(request);
}

void Connection::look_up(const Request& request) {
  auto target = parse_target(request.target);
  if (!target) return refuse(target.error());
  std::size_t rest = 0;
  const Resource* const resource = worker_.server().router().find(target->segments, rest);
  if (resource == nullptr) {
    const plugins::devices::Protocol* const protocol = worker_.protocol_for(target->segments);
    return protocol == nullptr ? refuse(kNoSuchPath) : hand_over(request, std::move(*target), *protocol);
  }
  switch (*resource) {
    case Resource::kFirmware:
      if (target->segments.size() == rest) return list(*target);
      return resolve(*target, rest);
    case Resource::kBlob: return resolve_blob(*target, rest);
  }
}

void Connection::resolve(const Target& target, std::size_t rest) {
  const std::size_t parts = target.segments.size() - rest;
  if (parts != 2 && parts != 3) return refuse(kNoSuchPath);
  sdk::ResolveRequest request;
  request.name = target.segments[rest];
  request.version = target.segments[rest + 1];
  request.type = parts == 3 ? std::string_view(target.segments[rest + 2]) : target.parameter("type");
  latest_ = request.version == "latest";
  request.prereleases =
      latest_ && (worker_.server().options().prereleases || is_true(target.parameter("prerelease")));
  resolve_by(request);
}

void Connection::resolve_blob(const Target& target, std::size_t rest) {
  if (target.segments.size() != rest + 1) return refuse(kNoSuchPath);
  if (!is_sha256(target.segments[rest])) {
    return refuse(Problem{404, "a blob is named by its SHA-256 as 64 hex digits in lower case", 0});
  }
  sdk::ResolveRequest request;
  request.digest = target.segments[rest];
  latest_ = false;
  resolve_by(request);
}

void Connection::resolve_by(const sdk::ResolveRequest& request) {
  const sdk::TransportHost& host = worker_.server().host();
  // Read before asking: an answer that is outdated when it comes is taken as outdated.
  asked_catalog_ = host.catalog_version();
  asked_epoch_ = host.epoch();
  sdk::ResolveRequest full = request;
  full.principal = principal_;
  ask(
      State::kAsking, [&](auto done) { return host.resolve(full, std::move(done)); },
      &Connection::on_resolved);
}

void Connection::on_resolved(sdk::Outcome<std::vector<sdk::Firmware>> outcome) {
  if (outcome.status == OTAGATE_AMBIGUOUS && !outcome.value.empty()) {
    return answer_json(300, "Cache-Control: no-store\r\n", plugins::choices_json(outcome.value));
  }
  if (!outcome) return refuse_outcome(outcome.status, outcome.retry_after_ms, outcome.message);
  if (outcome.value.empty()) return refuse_outcome(OTAGATE_NOT_FOUND, 0, "");
  sdk::Firmware& firmware = outcome.value.front();
  if (latest_) return redirect_to(worker_.server().options().public_url + plugins::firmware_path(firmware));
  Request request;
  if (parse_request(head_, request)) return close();
  auto entry = std::make_shared<Entry>();
  entry->target = request.target;
  entry->principal = principal_;
  entry->catalog = asked_catalog_;
  entry->epoch = asked_epoch_;
  entry->firmware = std::move(firmware);
  entry->fields = entity_fields(entry->firmware, false);
  worker_.keep_entry(entry);
  adopt(std::move(entry));
  // Not through serve(): a catalog that has changed meanwhile is the next request's affair.
  download(request);
}

// An open reader is kept if it is of the same bytes.
void Connection::adopt(EntryPtr entry) {
  if (reader_ && (!entry_ || entry_->principal != entry->principal ||
                  reader_firmware_ != entry->firmware.id || entry_->firmware.tag != entry->firmware.tag)) {
    reader_.close();
  }
  entry_ = std::move(entry);
}

void Connection::redirect_to(const std::string& location) {
  const bool plain =
      std::all_of(location.begin(), location.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain || location.size() > kMaxTargetSize) {
    return refuse(Problem{502, "the store gave a URL that cannot stand in a header", 0});
  }
  answer(307, "Location: " + location + "\r\nCache-Control: no-store\r\n", {});
}

// ------------------------------------------------------------------ the catalog

void Connection::list(const Target& target) {
  sdk::CatalogRequest request;
  const auto limit = page_limit(target);
  if (!limit) return refuse(limit.error());
  request.principal = principal_;
  request.limit = *limit;
  request.cursor = target.parameter("cursor");
  request.name = target.parameter("name");
  request.type = target.parameter("type");
  request.store = target.parameter("store");
  const sdk::TransportHost& host = worker_.server().host();
  ask(
      State::kAsking, [&](auto done) { return host.catalog(request, std::move(done)); },
      &Connection::on_listed);
}

void Connection::on_listed(const sdk::Outcome<sdk::FirmwarePage>& outcome) {
  if (!outcome) return refuse_outcome(outcome.status, outcome.retry_after_ms, outcome.message);
  Request request;
  if (parse_request(head_, request)) return close();
  const auto target = parse_target(request.target);
  if (!target) return refuse(target.error());
  const plugins::CatalogPage page{.name = target->parameter("name"),
                                  .type = target->parameter("type"),
                                  .store = target->parameter("store"),
                                  .limit = page_limit(*target).value_or(plugins::kDefaultPage)};
  const std::string next = plugins::next_page_path(page, outcome.value.cursor);
  const std::string body = plugins::catalog_json(outcome.value.items, next);
  const std::string tag = document_tag(body);
  const std::string fields = "ETag: \"" + tag + "\"\r\nCache-Control: no-cache\r\n";
  switch (evaluate(request.conditions, Validators{tag, 0})) {
    case Verdict::kNotModified: return answer(304, fields, {});
    case Verdict::kPreconditionFailed:
      return refuse(Problem{412, "the catalog is not the one that If-Match names", 0});
    case Verdict::kProceed: return answer_json(200, fields, body);
  }
}

}  // namespace otagate::http

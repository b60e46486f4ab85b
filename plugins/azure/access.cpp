#include "azure/access.hpp"

#include <algorithm>

#include "azure/connection_string.hpp"
#include "common/http_client/url.hpp"

namespace otagate::azure {
namespace {

using common::fail;
using common::Outcome;

constexpr char kAuthority[] = "https://login.microsoftonline.com/";

// A file's newline and the '?' of a copied URL do not count.
Outcome<std::string> clean_sas(std::string_view token) {
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
  if (token.starts_with('?')) token.remove_prefix(1);
  const bool query =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!query || (!token.starts_with("sig=") && token.find("&sig=") == std::string_view::npos)) {
    return fail(OTAGATE_INVALID, "it is no SAS token; copy what begins with sv= and has a sig=");
  }
  return std::string(token);
}

Outcome<Access> with_endpoint(Access access, const AccessOptions& options) {
  if (!options.endpoint.empty()) access.endpoint = options.endpoint;
  if (!options.account.empty()) {
    if (!account_name(options.account)) {
      return fail(OTAGATE_INVALID, "option 'account': '" + common::printable(options.account, 80) +
                                       "' is no account's name: 3 to 24 of a-z and 0-9");
    }
    access.account = options.account;
  }
  if (access.endpoint.empty() && !access.account.empty())
    access.endpoint = "https://" + access.account + ".blob.core.windows.net";
  if (access.endpoint.empty())
    return fail(OTAGATE_INVALID, "set 'account', or 'endpoint' where the account is not Azure's own");
  return access;
}

// What others on the way could read must not be sent over plain HTTP.
Outcome<void> needs_tls(const std::string& url, std::string_view option, std::string_view what) {
  const Outcome<common::UrlParts> parts = common::parse_url(url);
  if (!parts)
    return fail(common::Failure(parts.error()).with_context("option '" + std::string(option) + "'"));
  if (parts->scheme == "https" || parts->loopback()) return {};
  return fail(OTAGATE_INVALID, "option '" + std::string(option) + "': " + std::string(what) +
                                   " would travel unprotected to " + common::redacted_url(url) +
                                   "; use https");
}

Outcome<Access> entra(Access access, const AccessOptions& options) {
  access.kind = Access::Kind::entra;
  if (access.account.empty()) return fail(OTAGATE_INVALID, "'client_id' needs 'account'");
  if (options.client_id.empty() || options.client_secret.empty())
    return fail(OTAGATE_INVALID, "Entra ID needs both 'client_id' and 'client_secret'");
  access.token_endpoint = options.token_endpoint;
  if (access.token_endpoint.empty()) {
    if (options.tenant.empty()) return fail(OTAGATE_INVALID, "set 'tenant' (or 'token_endpoint')");
    access.token_endpoint = kAuthority + common::percent_encode(options.tenant) + "/oauth2/v2.0/token";
  }
  if (Outcome<void> safe = needs_tls(access.token_endpoint, "token_endpoint", "the client's secret"); !safe)
    return fail(std::move(safe.error()));
  if (Outcome<void> safe = needs_tls(access.endpoint, "endpoint", "the access token"); !safe)
    return fail(std::move(safe.error()));
  return access;
}

Outcome<Access> with_sas(Access access, const std::string& token, const char* option) {
  access.kind = Access::Kind::sas;
  Outcome<std::string> sas = clean_sas(token);
  if (!sas) return fail(std::move(sas.error()).with_context("option '" + std::string(option) + "'"));
  access.sas = std::move(*sas);
  if (Outcome<void> safe = needs_tls(access.endpoint, "endpoint", "the SAS token"); !safe)
    return fail(std::move(safe.error()));
  return access;
}

}  // namespace

Outcome<Access> choose_access(const AccessOptions& options) {
  const bool client = !options.client_id.empty() || !options.client_secret.empty();
  const int ways = int{!options.connection_string.empty()} + int{!options.account_key.empty()} +
                   int{!options.sas_token.empty()} + int{client} + int{options.anonymous};
  if (ways != 1) {
    return fail(OTAGATE_INVALID,
                std::string(ways == 0 ? "nothing says how to log in" : "several ways to log in are given") +
                    ": set one of 'connection_string', 'account_key', 'sas_token', 'client_id' with "
                    "'client_secret' and 'tenant', or anonymous = true (a public container)");
  }
  ConnectionString from;
  if (!options.connection_string.empty()) {
    Outcome<ConnectionString> parsed = parse_connection_string(options.connection_string);
    if (!parsed) return fail(std::move(parsed.error()));
    from = std::move(*parsed);
  }
  Outcome<Access> access = with_endpoint({{}, from.endpoint, from.account, {}, {}, {}}, options);
  if (!access) return access;
  if (client) return entra(std::move(*access), options);
  if (!options.sas_token.empty()) return with_sas(std::move(*access), options.sas_token, "sas_token");
  if (!from.sas.empty()) return with_sas(std::move(*access), from.sas, "connection_string");
  if (options.anonymous) return access;
  access->kind = Access::Kind::shared_key;
  access->key = from.key;
  if (!options.account_key.empty()) {
    if (options.account.empty()) return fail(OTAGATE_INVALID, "'account_key' needs 'account'");
    Outcome<std::string> key = decode_account_key(options.account_key);
    if (!key) return fail(std::move(key.error()).with_context("option 'account_key'"));
    access->key = std::move(*key);
  }
  return access;
}

}  // namespace otagate::azure

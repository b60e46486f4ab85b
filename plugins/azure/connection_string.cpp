#include "azure/connection_string.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "common/http_client/url.hpp"
#include "common/object_store/digests.hpp"
#include "common/object_store/text.hpp"

namespace otagate::azure {
namespace {

using common::fail;
using common::Outcome;

constexpr std::size_t kMaxLength = 8192;
// Published by Microsoft, the same in every emulator: no secret.
constexpr char kEmulatorAccount[] = "devstoreaccount1";
constexpr char kEmulatorKey[] =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

using Parts = std::map<std::string, std::string, std::less<>>;

Outcome<Parts> split(std::string_view text) {
  Parts parts;
  for (std::size_t at = 0, end = 0; at <= text.size(); at = end + 1) {
    end = std::min(text.find(';', at), text.size());
    const std::string_view part = trimmed(text.substr(at, end - at));
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return fail(OTAGATE_INVALID, "a part has no name; write it like AccountName=...;AccountKey=...");
    }
    std::string name = common::lower_case(trimmed(part.substr(0, equals)));
    if (parts.contains(name)) {
      return fail(OTAGATE_INVALID, "'" + common::printable(name, 40) + "' is given twice");
    }
    parts.emplace(std::move(name), trimmed(part.substr(equals + 1)));
  }
  return parts;
}

std::string value(const Parts& parts, std::string_view name) {
  const auto found = parts.find(name);
  return found == parts.end() ? std::string() : found->second;
}

Outcome<std::string> endpoint_of(const Parts& parts, const std::string& account) {
  if (std::string endpoint = value(parts, "blobendpoint"); !endpoint.empty()) return endpoint;
  if (account.empty()) return fail(OTAGATE_INVALID, "AccountName or BlobEndpoint is missing");
  std::string protocol = common::lower_case(value(parts, "defaultendpointsprotocol"));
  if (protocol.empty()) protocol = "https";
  if (protocol != "https" && protocol != "http")
    return fail(OTAGATE_INVALID, "DefaultEndpointsProtocol must be https or http");
  std::string suffix = common::lower_case(value(parts, "endpointsuffix"));
  if (suffix.empty()) suffix = "core.windows.net";
  if (suffix.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != std::string::npos)
    return fail(OTAGATE_INVALID, "EndpointSuffix is no domain; write it like core.windows.net");
  return protocol + "://" + account + ".blob." + suffix;
}

Outcome<ConnectionString> parse(std::string_view text) {
  if (text.size() > kMaxLength) return fail(OTAGATE_INVALID, "it is longer than 8 KiB");
  const Outcome<Parts> parts = split(text);
  if (!parts) return fail(parts.error());
  ConnectionString out;
  if (common::lower_case(value(*parts, "usedevelopmentstorage")) == "true") {
    out.account = kEmulatorAccount;
    out.key = *decode_account_key(kEmulatorKey);
    out.endpoint = "http://127.0.0.1:10000/devstoreaccount1";
    return out;
  }
  out.account = value(*parts, "accountname");
  if (!out.account.empty() && !account_name(out.account)) {
    return fail(OTAGATE_INVALID, "AccountName must be 3 to 63 of a-z, 0-9 and '-'");
  }
  Outcome<std::string> endpoint = endpoint_of(*parts, out.account);
  if (!endpoint) return fail(endpoint.error());
  out.endpoint = std::move(*endpoint);
  out.sas = value(*parts, "sharedaccesssignature");
  const std::string key = value(*parts, "accountkey");
  if (!out.sas.empty()) return out;  // Azure's clients take it before a key
  if (key.empty()) return fail(OTAGATE_INVALID, "AccountKey or SharedAccessSignature is missing");
  if (out.account.empty()) return fail(OTAGATE_INVALID, "AccountName is missing");
  Outcome<std::string> bytes = decode_account_key(key);
  if (!bytes) return fail(std::move(bytes.error()).with_context("AccountKey"));
  out.key = std::move(*bytes);
  return out;
}

}  // namespace

bool account_name(std::string_view text) {
  return text.size() >= 3 && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

Outcome<std::string> decode_account_key(std::string_view base64) {
  std::optional<std::string> bytes = common::from_base64(trimmed(base64));
  if (!bytes || bytes->size() < 16 || bytes->size() > 256) {
    return fail(OTAGATE_INVALID, "it is no key: copy the base64 text of 88 characters that the portal shows");
  }
  return std::move(*bytes);
}

Outcome<ConnectionString> parse_connection_string(std::string_view text) {
  Outcome<ConnectionString> parsed = parse(text);
  if (!parsed) return fail(std::move(parsed.error()).with_context("option 'connection_string'"));
  return parsed;
}

}  // namespace otagate::azure

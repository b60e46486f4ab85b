#include "http/options.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http/target.hpp"

namespace otagate::http {
namespace {

[[noreturn]] void bad_endpoint(const std::string& text) {
  throw sdk::Failure(OTAGATE_INVALID, "option 'listen' has '" + text +
                                          "', which is no address and port: write \"127.0.0.1:8080\", "
                                          "\"0.0.0.0:8080\" or \"[::1]:8080\"");
}

Endpoint parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) bad_endpoint(text);
  std::string host = text.substr(0, colon);
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc{} || rest != end) bad_endpoint(text);
  Endpoint endpoint;
  endpoint.text = text;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &in6.sin6_addr) != 1) bad_endpoint(text);
    std::memcpy(&endpoint.address, &in6, sizeof in6);
    endpoint.address_size = sizeof in6;
  } else {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &in.sin_addr) != 1) bad_endpoint(text);
    std::memcpy(&endpoint.address, &in, sizeof in);
    endpoint.address_size = sizeof in;
  }
  return endpoint;
}

// Who may check in as any device is the operator's decision: where nobody needs a credential the protocols
// are off until they are asked for.
plugins::devices::Settings protocol_settings(const sdk::Host& host, bool anonymous) {
  plugins::devices::Settings out;
  out.drogue = host.option("drogue").boolean(!anonymous);
  out.poll = host.option("poll").boolean(!anonymous);
  out.ddi = host.option("ddi").boolean(!anonymous);
  out.ddi_tenant = host.option("ddi_tenant").string(out.ddi_tenant);
  out.ddi_confirmation = host.option("ddi_confirmation").boolean(false);
  const auto bytes = [](const sdk::Option& option, std::uint32_t fallback) {
    return static_cast<std::uint32_t>(option.integer(fallback));
  };
  out.write_size = bytes(host.option("write_size"), out.write_size);
  out.max_block = bytes(host.option("max_block"), out.max_block);
  const sdk::Option by_type = host.option("max_block_by_type");
  for (const std::string& type : by_type.keys()) {
    out.max_block_of_type.emplace(type, bytes(by_type[type], out.max_block));
  }
  return out;
}

void identify(const sdk::Host& host, Options& out) {
  const std::string how = host.option("identify").string("credential");
  if (how != "credential" && how != "address")
    throw sdk::Failure(OTAGATE_INVALID, "option 'identify' is \"credential\" or \"address\"");
  out.identify_by_address = how == "address";
  if (out.identify_by_address && !out.anonymous) {
    throw sdk::Failure(
        OTAGATE_INVALID,
        "option 'identify' = \"address\" is for peers without a credential, and anonymous = false "
        "serves none of them: leave it out, or write anonymous = true");
  }
  const sdk::Option networks = host.option("trusted_networks");
  if (!networks.exists()) return;
  out.trusted = plugins::NetworkSet();
  for (const std::string& network : networks.strings()) {
    if (out.trusted.add(network)) continue;
    throw sdk::Failure(OTAGATE_INVALID, "option 'trusted_networks' has '" + network +
                                            "', which is no network: write \"10.0.0.0/8\" or \"fd00::/8\"");
  }
}

std::string checked_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const bool scheme = url.starts_with("http://") || url.starts_with("https://");
  if (!url.empty() && (!scheme || !valid_text(url) || url.find(' ') != std::string::npos)) {
    throw sdk::Failure(OTAGATE_INVALID,
                       "option 'public_url' is no base URL: write \"https://gateway.example:8443\"");
  }
  return url;
}

}  // namespace

Options Options::from(const sdk::Host& host) {
  Options out;
  const auto number = [&](const char* name, auto fallback) {
    return static_cast<decltype(fallback)>(host.option(name).integer(static_cast<std::int64_t>(fallback)));
  };
  // The option is one address or a list of them.
  if (host.option("listen.0").exists()) {
    for (const std::string& text : host.option("listen").strings())
      out.listen.push_back(parse_endpoint(text));
  } else {
    out.listen.push_back(parse_endpoint(host.option("listen").string("127.0.0.1:8080")));
  }
  out.anonymous = host.option("anonymous").boolean(false);
  identify(host, out);
  out.prereleases = host.option("prereleases").boolean(false);
  out.public_url = checked_url(host.option("public_url").string(""));
  out.tls_cert = host.option("tls.cert").string("");
  out.tls_key = host.option("tls.key").string("");
  out.threads = number("threads", out.threads);
  out.max_connections = number("max_connections", out.max_connections);
  out.max_connections_per_source = number("max_connections_per_source", out.max_connections_per_source);
  out.requests_per_second = number("requests_per_second", out.requests_per_second);
  out.header_limit = number("header_limit", out.header_limit);
  out.body_limit = number("body_limit", out.body_limit);
  out.header_timeout_ms = number("header_timeout", out.header_timeout_ms);
  out.idle_timeout_ms = number("idle_timeout", out.idle_timeout_ms);
  out.total_timeout_ms = number("total_timeout", out.total_timeout_ms);
  out.bandwidth = number("bandwidth", out.bandwidth);
  out.min_rate = number("min_rate", out.min_rate);
  out.wait_timeout_ms = number("wait_timeout", out.wait_timeout_ms);
  out.stream_wait_ms = number("stream_wait", out.stream_wait_ms);
  out.protocols = protocol_settings(host, out.anonymous);
  // A held answer has to come before the request's time is up.
  if (out.total_timeout_ms != 0) {
    out.protocols.max_poll_ms = std::min(out.protocols.max_poll_ms, out.total_timeout_ms / 2);
  }
  return out;
}

const char kOptionsSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "listen": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 16,
      "default": "127.0.0.1:8080", "description": "address and port, or a list of them"},
    "anonymous": {"type": "boolean", "default": false,
      "description": "serve requests without a credential"},
    "identify": {"type": "string", "enum": ["credential", "address"], "default": "credential",
      "description": "address: a download without a credential moves the attempt of the device registered at its address"},
    "trusted_networks": {"type": "array", "items": {"type": "string"},
      "description": "where identify = \"address\" counts; default: loopback, link-local, RFC 1918, ULA"},
    "prereleases": {"type": "boolean", "default": false,
      "description": "let `latest` be a pre-release also without ?prerelease=1"},
    "public_url": {"type": "string", "maxLength": 255,
      "description": "how devices reach this listener; makes the Location of redirects absolute"},
    "tls": {"type": "object", "additionalProperties": false, "required": ["cert", "key"], "properties": {
      "cert": {"type": "string", "minLength": 1, "description": "PEM file with the certificate and its chain"},
      "key": {"type": "string", "minLength": 1, "description": "PEM file with the private key"}}},
    "threads": {"type": "integer", "minimum": 1, "maximum": 8, "default": 1},
    "max_connections": {"type": "integer", "minimum": 1, "maximum": 1000000, "default": 4096},
    "max_connections_per_source": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 1024,
      "description": "per IPv4 address or IPv6 /64; 0: no limit"},
    "requests_per_second": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0,
      "description": "per source, in bursts of two seconds' worth; 0: no limit"},
    "header_limit": {"type": "integer", "format": "size", "minimum": 1024, "maximum": 65536, "default": 16384},
    "body_limit": {"type": "integer", "format": "size", "minimum": 0, "maximum": 16777216, "default": 65536,
      "description": "of a request's body; a larger one is answered 413"},
    "header_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "default": 10000},
    "idle_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "default": 60000,
      "description": "between requests, and without a byte taken during one"},
    "total_timeout": {"type": "integer", "format": "duration", "minimum": 0, "default": 21600000,
      "description": "of one request and its answer; 0: no limit"},
    "bandwidth": {"type": "integer", "format": "rate", "minimum": 0, "maximum": 1099511627776, "default": 0,
      "description": "firmware sent to all peers together, a second; 0: no limit"},
    "min_rate": {"type": "integer", "format": "rate", "minimum": 0, "default": 128,
      "description": "bytes a second a peer has to take on average over 30 s; 0: no limit"},
    "wait_timeout": {"type": "integer", "format": "duration", "minimum": 0, "maximum": 600000, "default": 10000,
      "description": "how long a range that is not there yet is waited for before 503"},
    "stream_wait": {"type": "integer", "format": "duration", "minimum": 0, "maximum": 600000, "default": 20000,
      "description": "how long a download waits for its next bytes and for verification"},
    "drogue": {"type": "boolean",
      "description": "Drogue's POST /v1/dfu; on by default where a credential is needed"},
    "poll": {"type": "boolean",
      "description": "GET /v1/devices/<id>/update and POST .../report; on by default where a credential is needed"},
    "ddi": {"type": "boolean",
      "description": "hawkBit's device API, /<tenant>/controller/v1; on by default where a credential is needed"},
    "ddi_tenant": {"type": "string", "minLength": 1, "maxLength": 64, "default": "DEFAULT",
      "description": "the tenant in the paths of hawkBit's device API"},
    "ddi_confirmation": {"type": "boolean", "default": false,
      "description": "DDI clients are asked for their consent to each update"},
    "max_block": {"type": "integer", "format": "size", "minimum": 1, "maximum": 1048576, "default": 1024,
      "description": "bytes of firmware that one answer of Drogue's protocol carries at most"},
    "max_block_by_type": {"type": "object",
      "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 1048576},
      "description": "the same per device type"},
    "write_size": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 4,
      "description": "what a device's flash takes at a time: every block but the last is a multiple of it"}
  }
})";

}  // namespace otagate::http

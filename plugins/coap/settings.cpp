#include "settings.hpp"

#include <algorithm>

namespace otagate::coap {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw sdk::Failure(OTAGATE_INVALID, why); }

unsigned block_size(const sdk::Option& option, const char* name) {
  const auto bytes = option.integer(block_bytes(kMaxSzx));
  const auto szx = bytes < 0 ? std::nullopt : szx_of(static_cast<std::uint64_t>(bytes));
  if (!szx) refuse(std::string(name) + " must be 16, 32, 64, 128, 256, 512 or 1024");
  return *szx;
}

std::int64_t within(const sdk::Option& option, const char* name, std::int64_t fallback, std::int64_t low,
                    std::int64_t high) {
  const auto value = option.integer(fallback);
  if (value < low || value > high) {
    refuse(std::string(name) + " must be from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

// A block of Drogue's protocol and what stands around it fit into one of ours.
std::uint32_t carried(unsigned szx) {
  constexpr std::uint32_t kAround = 64;
  return std::max(block_bytes(szx), 2 * kAround) - kAround;
}

}  // namespace

// The defaults and bounds stand here for the host, and in from() for hosts that do not check.
const char* const kOptionsSchema = R"({
  "type": "object",
  "additionalProperties": false,
  "required": ["anonymous"],
  "properties": {
    "listen": {"type": "string", "default": "127.0.0.1:5683",
      "description": "Numeric address and port; [::]:5683 for all addresses"},
    "anonymous": {"type": "boolean", "enum": [true],
      "description": "Must be true: without DTLS no CoAP peer can show a credential"},
    "dtls": {"type": "object", "description": "Reserved; refused by this version"},
    "max_block": {"type": "integer", "enum": [16, 32, 64, 128, 256, 512, 1024], "default": 1024,
      "description": "Largest payload of one answer, bytes"},
    "max_block_by_type": {"type": "object",
      "additionalProperties": {"type": "integer", "enum": [16, 32, 64, 128, 256, 512, 1024]},
      "description": "The same per device type of the firmware: nRF Connect SDK wants 512"},
    "prereleases": {"type": "boolean", "default": false,
      "description": "`latest` may be a pre-release"},
    "stream": {"type": "boolean", "default": false,
      "description": "Serve firmware while it is being fetched; blocks wait by separate response"},
    "echo": {"type": "string", "enum": ["challenge", "small"], "default": "challenge",
      "description": "How peers outside trusted_networks are kept from amplifying: 4.01 with Echo, or small blocks"},
    "trusted_networks": {"type": "array", "items": {"type": "string"},
      "description": "Networks whose addresses cannot be forged; default: loopback, link-local, RFC 1918, ULA"},
    "identify": {"type": "string", "enum": ["none", "address"], "default": "none",
      "description": "address: a download from trusted_networks moves the attempt of the device registered at its address"},
    "max_sessions": {"type": "integer", "minimum": 16, "maximum": 65536, "default": 2048,
      "description": "Peers remembered at a time; the one idle for longest makes room"},
    "session_timeout": {"type": "integer", "format": "duration", "minimum": 10000, "maximum": 3600000,
      "default": 90000, "description": "After which an idle peer is forgotten"},
    "bandwidth": {"type": "integer", "format": "rate", "minimum": 0, "maximum": 1099511627776, "default": 0,
                  "description": "firmware sent to all peers together, a second; 0: no limit"},
    "requests_per_second": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0,
      "description": "Per source address; more are answered 4.29; 0: no limit"},
    "receive_buffer": {"type": "integer", "format": "size", "minimum": 65536, "maximum": 268435456,
      "default": 4194304,
      "description": "Of the socket; holds the burst when many devices start at once"},
    "wait_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "maximum": 60000,
      "default": 10000, "description": "How long a block may wait for its bytes with stream = true"},
    "drogue": {"type": "boolean", "default": false, "description": "Drogue's POST /v1/dfu"},
    "poll": {"type": "boolean", "default": false,
      "description": "GET /v1/devices/<id>/update and POST .../report"},
    "ddi": {"type": "boolean", "default": false,
      "description": "hawkBit's device API, /<tenant>/controller/v1"},
    "ddi_tenant": {"type": "string", "minLength": 1, "maxLength": 64, "default": "DEFAULT",
      "description": "The tenant in the paths of hawkBit's device API"},
    "ddi_confirmation": {"type": "boolean", "default": false,
      "description": "DDI clients are asked for their consent to each update"},
    "write_size": {"type": "integer", "minimum": 1, "maximum": 512, "default": 4,
      "description": "What a device's flash takes at a time: every block of Drogue's protocol but the last is a multiple of it"}
  }
})";

Settings Settings::from(const sdk::Host& host) {
  if (host.option("dtls").exists()) {
    refuse(
        "dtls is not supported by this version; remove the table and keep the listener on a trusted network");
  }
  if (!host.option("anonymous").boolean(false)) {
    refuse(
        "a CoAP listener without DTLS cannot know who asks: write anonymous = true into its options to allow "
        "every peer that reaches it");
  }
  Settings settings;
  const auto listen = host.option("listen").string("127.0.0.1:5683");
  const auto address = parse_listen(listen);
  if (!address) {
    refuse("listen = \"" + listen +
           "\" is no numeric address and port; write \"192.0.2.1:5683\" or \"[::]:5683\"");
  }
  settings.listen = *address;
  settings.max_szx = block_size(host.option("max_block"), "max_block");
  const auto by_type = host.option("max_block_by_type");
  for (const auto& type : by_type.keys()) {
    settings.max_szx_of_type.emplace(type, block_size(by_type[type], "max_block_by_type"));
  }
  settings.prereleases = host.option("prereleases").boolean(false);
  settings.stream = host.option("stream").boolean(false);
  const auto echo = host.option("echo").string("challenge");
  if (echo != "challenge" && echo != "small") refuse("echo must be \"challenge\" or \"small\"");
  settings.echo = echo == "small" ? Echo::kSmall : Echo::kChallenge;
  if (const auto networks = host.option("trusted_networks"); networks.exists()) {
    settings.trusted = NetworkSet();
    for (const auto& network : networks.strings()) {
      if (!settings.trusted.add(network)) {
        refuse("trusted_networks: \"" + network + "\" is no network; write \"10.0.0.0/8\" or \"fd00::/8\"");
      }
    }
  }
  const auto identify = host.option("identify").string("none");
  if (identify != "none" && identify != "address") refuse("identify must be \"none\" or \"address\"");
  settings.identify_by_address = identify == "address";
  settings.max_sessions = static_cast<unsigned>(
      within(host.option("max_sessions"), "max_sessions", settings.max_sessions, 16, 65536));
  settings.session_timeout =
      std::chrono::milliseconds(within(host.option("session_timeout"), "session_timeout",
                                       settings.session_timeout.count(), 10'000, 3'600'000));
  settings.bandwidth =
      static_cast<std::uint64_t>(within(host.option("bandwidth"), "bandwidth", 0, 0, std::int64_t{1} << 40));
  settings.requests_per_second = static_cast<std::uint32_t>(
      within(host.option("requests_per_second"), "requests_per_second", 0, 0, 1'000'000));
  settings.receive_buffer = static_cast<int>(
      within(host.option("receive_buffer"), "receive_buffer", settings.receive_buffer, 65536, 256 << 20));
  settings.wait_timeout = std::chrono::milliseconds(
      within(host.option("wait_timeout"), "wait_timeout", settings.wait_timeout.count(), 1'000, 60'000));
  auto& protocols = settings.protocols;
  protocols.drogue = host.option("drogue").boolean(false);
  protocols.poll = host.option("poll").boolean(false);
  protocols.ddi = host.option("ddi").boolean(false);
  protocols.ddi_tenant = host.option("ddi_tenant").string(protocols.ddi_tenant);
  protocols.ddi_confirmation = host.option("ddi_confirmation").boolean(false);
  protocols.write_size =
      static_cast<std::uint32_t>(within(host.option("write_size"), "write_size", 4, 1, 512));
  protocols.max_block = carried(settings.max_szx);
  for (const auto& [type, szx] : settings.max_szx_of_type) {
    protocols.max_block_of_type.emplace(type, carried(std::min(szx, settings.max_szx)));
  }
  return settings;
}

}  // namespace otagate::coap

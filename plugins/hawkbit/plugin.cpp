#include "hawkbit/hawkbit_store.hpp"

namespace otagate::hawkbit {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "required": ["url"],
  "additionalProperties": false,
  "properties": {
    "url": {"type": "string", "minLength": 8, "maxLength": 1024,
      "description": "URL of the server, e.g. https://hawkbit.example; what comes before /TENANT/controller/v1"},
    "tenant": {"type": "string", "default": "DEFAULT", "minLength": 1, "maxLength": 64,
      "description": "tenant on the server"},
    "gateway_token": {"type": "string", "format": "secret",
      "description": "authentication.gatewaytoken.key of the tenant: good for all its targets"},
    "target_tokens": {"type": "string", "format": "secret",
      "description": "a file with the security tokens of single targets: CONTROLLER-ID TOKEN, one a line"},
    "components": {"type": "array", "maxItems": 64,
      "description": "which component of a device a module's part is for",
      "items": {"type": "object", "additionalProperties": false, "required": ["part", "component"],
        "properties": {
          "part": {"type": "string", "minLength": 1, "maxLength": 128,
            "description": "as hawkBit names it: os, bApp, jvm, or the key of a type of one's own"},
          "file": {"type": "string", "maxLength": 256, "description": "only the artifact of that file name"},
          "component": {"type": "string", "maxLength": 64,
            "description": "of the device; empty: the artifact is left out"}
        }}},
    "poll_min": {"type": "integer", "format": "duration", "minimum": 1000, "default": 10000,
      "description": "a target is polled no more often, whatever the server says"},
    "poll_max": {"type": "integer", "format": "duration", "minimum": 1000, "default": 3600000,
      "description": "and no less often"},
    "poll_rate": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20,
      "description": "polls a second, all targets together"},
    "poll_parallel": {"type": "integer", "minimum": 1, "maximum": 32, "default": 4,
      "description": "polls at the same time"},
    "max_targets": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 10000,
      "description": "devices that are watched"},
    "ca_file": {"type": "string", "default": "",
      "description": "PEM file of the certificates to trust instead of the system's"},
    "proxy": {"type": "string", "default": "",
      "description": "http://, https:// or socks5h:// URL; the environment's proxies are not used"},
    "connect_timeout": {"type": "integer", "format": "duration", "minimum": 100, "default": 10000,
      "description": "of a connection, TLS included"},
    "idle_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "default": 30000,
      "description": "window in which low_speed is measured"},
    "low_speed": {"type": "integer", "format": "rate", "minimum": 0, "default": 100,
      "description": "a slower transfer is ended and tried again"}
  }
})json";

}  // namespace
}  // namespace otagate::hawkbit

OTAGATE_PLUGIN(otagate::hawkbit::HawkbitStore, .id = "hawkbit", .version = "0.1.0",
               .summary = "Eclipse hawkBit: its rollouts become updates of the devices behind this gateway",
               .options_schema = otagate::hawkbit::kOptions, .thread_safe = true)

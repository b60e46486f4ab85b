#include "web/web_store.hpp"

namespace otagate::web {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "required": ["index_url"],
  "additionalProperties": false,
  "properties": {
    "index_url": {"type": "string", "minLength": 1, "maxLength": 2048,
      "description": "URL of the JSON index, or of the folder, with '/' at its end"},
    "listing": {"type": "string", "enum": ["auto", "json", "autoindex"], "default": "auto",
      "description": "what is there: a JSON index, folders as nginx lists them in JSON, or whatever it looks like"},
    "depth": {"type": "integer", "minimum": 0, "maximum": 32, "default": 8,
      "description": "folders below index_url that are listed, 0: none"},
    "credentials": {"type": "string", "enum": ["none", "basic", "bearer"], "default": "none",
      "description": "how to log in; sent to the server of index_url and to no other"},
    "user": {"type": "string", "description": "of basic credentials"},
    "password": {"type": "string", "format": "secret", "description": "of basic credentials"},
    "token": {"type": "string", "format": "secret", "description": "of bearer credentials"},
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
}  // namespace otagate::web

OTAGATE_PLUGIN(otagate::web::WebStore, .id = "web", .version = "0.1.0",
               .summary = "firmware on any HTTP(S) server: a JSON index, or folders that nginx lists",
               .options_schema = otagate::web::kOptions, .thread_safe = true)

#include "oci/oci_store.hpp"

namespace otagate::oci {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "required": ["registry", "repositories"],
  "additionalProperties": false,
  "properties": {
    "registry": {"type": "string", "minLength": 8,
      "description": "URL of the registry, e.g. https://ghcr.io"},
    "repositories": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 256,
      "description": "repository, repository:tag or repository@sha256:..., without the registry's host"},
    "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 64,
      "description": "patterns of the tags to list, e.g. \"v*\"; none: all"},
    "ignore_tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 64,
      "description": "patterns of tags to leave out"},
    "names": {"type": "boolean", "default": true,
      "description": "name from the repository and version from the tag where no annotation says them"},
    "referrers": {"type": "boolean", "default": true,
      "description": "list what refers to a manifest, such as signatures, as metadata"},
    "ranges": {"type": "boolean", "default": true,
      "description": "false: for registries that ignore ranges"},
    "scan_max": {"type": "integer", "format": "size", "minimum": 0, "default": 67108864,
      "description": "bytes of a container image's layers that are read in search of firmware"},
    "username": {"type": "string", "default": "", "description": "of the registry; empty: anonymous"},
    "password": {"type": "string", "format": "secret", "description": "password or access token"},
    "docker_config": {"type": "string", "format": "secret",
      "description": "instead: the content of a config.json of docker, podman, skopeo or crane"},
    "token_realms": {"type": "array", "items": {"type": "string", "minLength": 8}, "maxItems": 16,
      "description": "other servers that credentials may be sent to for a token, e.g. https://auth.docker.io"},
    "ca_file": {"type": "string", "default": "",
      "description": "PEM file of the certificates to trust instead of the system's"},
    "proxy": {"type": "string", "default": "",
      "description": "http://, https:// or socks5h:// URL; the environment's proxies are not used"},
    "connect_timeout": {"type": "integer", "format": "duration", "minimum": 100, "default": 10000,
      "description": "of a connection, TLS included"},
    "idle_timeout": {"type": "integer", "format": "duration", "minimum": 1000, "default": 30000,
      "description": "window in which low_speed is measured"},
    "low_speed": {"type": "integer", "format": "rate", "minimum": 0, "default": 100,
      "description": "a slower transfer is ended and tried again"},
    "publish": {"type": "boolean", "default": false,
      "description": "allow the gateway to push artifacts"},
    "publish_repository": {"type": "string", "minLength": 1, "maxLength": 255,
      "description": "where it pushes to; without it the first of repositories"}
  }
})json";

}  // namespace
}  // namespace otagate::oci

OTAGATE_PLUGIN(otagate::oci::OciStore, .id = "oci", .version = "0.1.0",
               .summary = "firmware in an OCI registry: artifacts and images",
               .options_schema = otagate::oci::kOptions, .thread_safe = true)

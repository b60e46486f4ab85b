#include "directory/directory_store.hpp"

namespace otagate::directory {
namespace {

constexpr char kOptions[] = R"json({
  "type": "object",
  "required": ["path"],
  "additionalProperties": false,
  "properties": {
    "path": {"type": "string", "minLength": 1,
      "description": "absolute path of the folder"},
    "hash": {"type": "boolean", "default": true,
      "description": "compute the SHA-256 of each file when it is listed"},
    "hash_max": {"type": "integer", "format": "size", "minimum": 0, "default": 268435456,
      "description": "larger files are not hashed when listed; their digest is known once they were filled"},
    "settle": {"type": "integer", "format": "duration", "minimum": 0, "maximum": 60000, "default": 500,
      "description": "a file that has not been written to for so long is complete"},
    "rescan": {"type": "integer", "format": "duration", "minimum": 1000, "default": 10000,
      "description": "how often to look where the kernel does not report changes: NFS, FUSE, watch limit"},
    "ignore": {"type": "array", "items": {"type": "string"}, "maxItems": 64,
      "description": "names that are no firmware, as globs; default *.tmp, *.part and *~. Hidden names never are"},
    "publish": {"type": "boolean", "default": false,
      "description": "allow the gateway to write firmware into the folder"}
  }
})json";

}  // namespace
}  // namespace otagate::directory

OTAGATE_PLUGIN(otagate::directory::DirectoryStore, .id = "directory", .version = "0.1.0",
               .summary = "firmware in a folder of this machine",
               .options_schema = otagate::directory::kOptions, .thread_safe = true)

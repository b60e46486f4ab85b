// Checks a plugin's options against the JSON Schema it declares, before the plugin sees them.
#pragma once

#include <string>
#include <string_view>

#include "config/secret.hpp"
#include "core/problem.hpp"
#include "core/value.hpp"

namespace otagate::config {

// Whose options they are, for keys in problems: "store.s3-main.options.bucket".
struct OptionsOwner {
  std::string_view kind;            // "store" or "transport"
  std::string_view name;            // of the instance
  std::string_view plugin;          // of the plugin
  const Location* where = nullptr;  // of the instance: used where a required option is missing
};

struct ResolvedOptions {
  Value options;      // with defaults applied and secrets resolved (and marked secret)
  Problems problems;  // not empty: do not create the instance
  Problems warnings;
};

// The schema is JSON Schema draft 4 (type, enum, minimum, maximum, minLength, maxLength, pattern,
// items, minItems, maxItems, properties, required, additionalProperties, default, description).
// Unknown options are problems unless additionalProperties is true. Beyond draft 4, "format" may be:
//   "secret"    written as {file=}, {credential=} or {env=}; resolved to a string marked secret
//   "duration"  "30s", "1h30m"; handed on as an integer of milliseconds when "type" is "integer"
//   "size"      "20MiB"; handed on as an integer of bytes when "type" is "integer"
//   "rate"      "4MiB/s"; handed on as an integer of bytes per second when "type" is "integer"
// minimum, maximum and default of those are in the handed-on unit. A malformed schema is a problem of
// the plugin and is said so.
ResolvedOptions resolve_options(const Value& options, std::string_view json_schema,
                                const OptionsOwner& owner);

// The same without reading secrets: for `otagated --check` and `otagate config check`.
Problems validate_options(const Value& options, std::string_view json_schema, const OptionsOwner& owner);

}  // namespace otagate::config

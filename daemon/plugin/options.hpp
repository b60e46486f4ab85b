// How an instance's options reach its plugin, without this module knowing the configuration's tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::plugin {

struct OptionValue {
  enum class Kind { none, string, integer, number, boolean, list, table };
  Kind kind = Kind::none;
  std::string string;
  std::int64_t integer = 0;  // boolean: 0 or 1; list and table: number of elements
  double number = 0;
  std::vector<std::string> keys;  // table
};

// Implemented by the gateway over the validated options, secrets resolved. Immutable; any thread.
class OptionSource {
 public:
  virtual ~OptionSource() = default;
  // "tls.ca_file", "keys.0"; "" is the table of all. Kind none when there is nothing.
  virtual OptionValue lookup(std::string_view dotted_path) const = 0;
};

}  // namespace otagate::plugin

// The plugin under test and the configuration to try it with.
#pragma once

#include <toml++/toml.h>
#include <optional>
#include <string>
#include <string_view>

#include "otagate/plugin.h"
#include "otagate/storage.h"
#include "otagate/transport.h"

namespace otagate::kit {

// Used by one check in a process of its own; nothing is unloaded.
class Subject {
 public:
  // The configuration may be empty. Throws Failed when it cannot be read.
  Subject(std::string path, const std::string& config_path);

  const std::string& path() const { return path_; }
  const toml::table& options() const { return options_; }
  // A value of the [check] table.
  std::optional<std::string> setting(std::string_view key) const;
  std::int64_t number(std::string_view key, std::int64_t otherwise) const;
  const toml::array* bad_options() const;

  // Loads the plugin on first use. Throws Failed.
  otagate_plugin_entry_fn entry();
  const otagate_plugin& plugin();
  // Members beyond the plugin's table are null. Throws Skipped when the plugin does not have it.
  const otagate_storage& storage();
  const otagate_transport& transport();
  bool has(const char* interface);

 private:
  const std::string path_;
  toml::table config_;
  toml::table options_;
  otagate_plugin_entry_fn entry_ = nullptr;
  std::optional<otagate_plugin> plugin_;
  std::optional<otagate_storage> storage_;
  std::optional<otagate_transport> transport_;
};

}  // namespace otagate::kit

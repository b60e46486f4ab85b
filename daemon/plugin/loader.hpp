// Opens a plugin's shared object, once it is known to be the one its manifest speaks of.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "core/fd.hpp"
#include "otagate/plugin.h"
#include "otagate/storage.h"
#include "otagate/transport.h"
#include "plugin/manifest.hpp"

namespace otagate::plugin {

// A loaded plugin. Immutable, any thread, lives until the process ends: its code is never unloaded.
class Library {
 public:
  const Manifest& manifest() const { return manifest_; }
  const std::string& version() const { return version_; }
  const std::string& summary() const { return summary_; }
  const std::string& options_schema() const { return schema_; }
  bool blocking() const { return (plugin_.flags & OTAGATE_PLUGIN_BLOCKING) != 0; }
  bool thread_safe() const { return (plugin_.flags & OTAGATE_PLUGIN_THREAD_SAFE) != 0; }
  // Functions beyond the plugin's `size` are null. `create` and `destroy` are there.
  const otagate_plugin& plugin() const { return plugin_; }
  // Null when the plugin does not have the interface.
  const otagate_storage* storage() const { return storage_ ? storage_.get() : nullptr; }
  const otagate_transport* transport() const { return transport_ ? transport_.get() : nullptr; }

 private:
  friend class Loader;
  Manifest manifest_;
  std::string version_;
  std::string summary_;
  std::string schema_;
  otagate_plugin plugin_{};
  std::unique_ptr<otagate_storage> storage_;
  std::unique_ptr<otagate_transport> transport_;
};

class Loader {
 public:
  // `trust_own_user`: besides root, the user this process runs as may own plugins and their folder.
  explicit Loader(bool trust_own_user) : trust_own_user_(trust_own_user) {}

  // The folder may not be written by others, and so may not the file. The file is opened once; what was
  // hashed is what is loaded. What its entry point throws becomes an error (not what a static
  // constructor throws: that ends the process).
  // Errors name the file, what is wrong with it and what to do.
  Result<std::shared_ptr<const Library>> load(const std::filesystem::path& folder,
                                              const Manifest& manifest) const;

 private:
  Result<void> trusted(int fd, const std::string& path, bool folder) const;
  bool trust_own_user_;
};

}  // namespace otagate::plugin

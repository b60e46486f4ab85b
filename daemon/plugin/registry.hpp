// The plugins that are there and the instances that run.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "plugin/instance.hpp"
#include "plugin/storage.hpp"
#include "plugin/transport.hpp"

namespace otagate::plugin {

// A plugin as its manifest describes it.
struct PluginInfo {
  std::string id;
  std::filesystem::path path;
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::vector<std::string> interfaces;  // "otagate.storage/1"
  std::vector<std::string> permissions;
  std::string sha256;
  bool loaded = false;
  std::string version;  // once loaded
  std::string summary;  // once loaded
  std::string problem;  // why it cannot be used, empty if it can
};

enum class Kind { store, transport };

// Thread-safe. Owns one thread for completions and deadlines; each instance has its own threads.
class Registry {
 public:
  struct Settings {
    std::vector<std::filesystem::path> folders;  // earlier ones win
    // Besides root, this user may own plugins and their folders: for build trees. Default: root only.
    bool trust_own_user = false;
    // Past its deadline a call is given this long before it is abandoned and the instance failed.
    std::chrono::milliseconds grace{30'000};
    std::chrono::milliseconds create_timeout{10'000};
    std::size_t threads = 4;       // per instance, on demand
    std::size_t max_queued = 256;  // calls per instance
  };

  Registry(Settings settings, InstanceListener& listener);
  // Closes what is still open without waiting long, ends the thread.
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Reads the manifests of the folders again; opens no plugin. Folders that do not exist are skipped.
  void scan();
  std::vector<PluginInfo> plugins() const;

  // The JSON Schema of a plugin's options; loads the plugin on first use. not_found names those there are.
  Result<std::string> options_schema(std::string_view plugin, Kind kind);

  // Blocks while the plugin creates it, at most create_timeout. On failure the reason is also kept:
  // instances() shows it as failed until remove() or another create of that name.
  Result<std::shared_ptr<StorageInstance>> create_store(InstanceSpec spec, StorageListener& listener);
  Result<std::shared_ptr<TransportInstance>> create_transport(InstanceSpec spec, TransportServices& services);

  // Shows an instance as failed although it was never created (its configuration was refused).
  void refuse(const InstanceSpec& spec, Kind kind, std::string reason);
  // Forgets an instance that was closed or failed.
  void remove(std::string_view name, Kind kind);

  // All there are, failed ones included, in order of creation.
  std::vector<InstanceStatus> instances() const;

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace otagate::plugin

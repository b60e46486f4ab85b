#include "plugin/registry.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "plugin/dispatcher.hpp"
#include "plugin/loader.hpp"
#include "plugin/storage_bridge.hpp"
#include "plugin/transport_bridge.hpp"

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr std::size_t kMaxPlugins = 256;
constexpr milliseconds kLastGrace{1'000};

const char* interface_of(Kind kind) { return kind == Kind::store ? OTAGATE_STORAGE_1 : OTAGATE_TRANSPORT_1; }
const char* word_of(Kind kind) { return kind == Kind::store ? "store" : "transport"; }

}  // namespace

class Registry::Core {
 public:
  Core(Settings settings, InstanceListener& listener)
      : settings_(std::move(settings)),
        loader_(settings_.trust_own_user),
        listener_(listener),
        dispatcher_(std::make_shared<Dispatcher>()) {}

  void scan();
  std::vector<PluginInfo> plugins() const;
  Result<std::shared_ptr<const Library>> library(std::string_view id, Kind kind);
  template <class Bridge, class Interface, class Outside>
  Result<std::shared_ptr<Interface>> create(InstanceSpec spec, Kind kind, Outside& outside);
  void refuse(const InstanceSpec& spec, Kind kind, std::string reason);
  void remove(std::string_view name, Kind kind);
  std::vector<InstanceStatus> instances() const;
  void close_all();

 private:
  struct Plugin {
    PluginInfo info;
    fs::path folder;
    Manifest manifest;
    std::shared_ptr<const Library> library;
  };
  struct Instance {
    Kind kind = Kind::store;
    std::string name;
    std::function<InstanceStatus()> status;
    std::function<void(milliseconds, Task)> close;
  };

  void put(Instance instance);
  Surroundings surroundings() const {
    return {dispatcher_,       &listener_,          settings_.grace, settings_.create_timeout,
            settings_.threads, settings_.max_queued};
  }

  const Settings settings_;
  const Loader loader_;
  InstanceListener& listener_;
  const std::shared_ptr<Dispatcher> dispatcher_;

  std::mutex loading_mutex_;  // one load at a time; taken before mutex_
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, Plugin, std::less<>> plugins_;
  std::vector<Instance> instances_;  // in order of creation
};

void Registry::Core::scan() {
  std::map<std::string, Plugin, std::less<>> found;
  std::map<std::string, Plugin, std::less<>> broken;  // manifests that cannot be read, by path
  for (const fs::path& folder : settings_.folders) {
    std::error_code error;
    std::vector<fs::path> manifests;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.size() > 12 && name.ends_with(".plugin.toml")) manifests.push_back(it->path());
    }
    std::sort(manifests.begin(), manifests.end());
    for (const fs::path& path : manifests) {
      if (found.size() + broken.size() >= kMaxPlugins) break;
      Plugin plugin;
      plugin.folder = folder;
      auto manifest = read_manifest(path);
      if (!manifest) {
        plugin.info.id = path.filename().string();
        plugin.info.path = path;
        plugin.info.problem = manifest.error().message();
        broken.emplace(path.string(), std::move(plugin));
        continue;
      }
      if (found.contains(manifest->id)) continue;  // an earlier folder has it
      plugin.manifest = std::move(*manifest);
      PluginInfo& info = plugin.info;
      info.id = plugin.manifest.id;
      info.path = folder / plugin.manifest.file;
      info.abi_major = plugin.manifest.abi_major;
      info.abi_minor = plugin.manifest.abi_minor;
      info.interfaces = plugin.manifest.interfaces;
      info.permissions = plugin.manifest.permissions;
      info.sha256 = plugin.manifest.sha256.hex();
      if (info.abi_major != OTAGATE_ABI_MAJOR)
        info.problem = "built for version " + std::to_string(info.abi_major) +
                       " of the plugin ABI; this gateway has " + std::to_string(OTAGATE_ABI_MAJOR);
      found.emplace(info.id, std::move(plugin));
    }
  }
  for (auto& [path, plugin] : broken) found.emplace(path, std::move(plugin));

  std::lock_guard lock(mutex_);
  for (auto& [id, plugin] : plugins_) {
    if (!plugin.library) continue;
    // What is loaded stays what it is, whatever the files say by now.
    auto now = found.find(id);
    if (now == found.end())
      found.emplace(id, std::move(plugin));
    else
      now->second = std::move(plugin);
  }
  plugins_ = std::move(found);
}

std::vector<PluginInfo> Registry::Core::plugins() const {
  std::lock_guard lock(mutex_);
  std::vector<PluginInfo> out;
  for (const auto& [id, plugin] : plugins_) out.push_back(plugin.info);
  return out;
}

Result<std::shared_ptr<const Library>> Registry::Core::library(std::string_view id, Kind kind) {
  std::lock_guard loading(loading_mutex_);
  Manifest manifest;
  fs::path folder;
  {
    std::lock_guard lock(mutex_);
    const auto found = plugins_.find(id);
    if (found == plugins_.end() || found->second.manifest.id.empty()) {
      std::string there;
      for (const auto& [other, plugin] : plugins_)
        if (!plugin.manifest.id.empty()) there += (there.empty() ? "" : ", ") + other;
      std::string folders;
      for (const fs::path& one : settings_.folders) folders += (folders.empty() ? "" : ", ") + one.string();
      return fail(Code::not_found, "there is no plugin '" + std::string(id) + "' in " + folders +
                                       "; there are: " + (there.empty() ? "none" : there));
    }
    const Plugin& plugin = found->second;
    const auto& interfaces = plugin.manifest.interfaces;
    if (std::find(interfaces.begin(), interfaces.end(), interface_of(kind)) == interfaces.end())
      return fail(Code::invalid, "the plugin '" + std::string(id) + "' is no " + word_of(kind));
    if (plugin.library) return plugin.library;
    manifest = plugin.manifest;
    folder = plugin.folder;
  }
  auto loaded = loader_.load(folder, manifest);
  std::lock_guard lock(mutex_);
  const auto found = plugins_.find(id);
  if (found != plugins_.end()) {
    PluginInfo& info = found->second.info;
    if (loaded) {
      found->second.library = *loaded;
      info.loaded = true;
      info.version = (*loaded)->version();
      info.summary = (*loaded)->summary();
      info.problem.clear();
    } else {
      info.problem = loaded.error().message();
    }
  }
  return loaded;
}

template <class Bridge, class Interface, class Outside>
Result<std::shared_ptr<Interface>> Registry::Core::create(InstanceSpec spec, Kind kind, Outside& outside) {
  auto loaded = library(spec.plugin, kind);
  if (!loaded) {
    refuse(spec, kind, loaded.error().message());
    return fail(loaded.error());
  }
  auto bridge = std::make_shared<Bridge>(spec, *loaded, surroundings(), outside);
  Result<void> made;
  if constexpr (std::is_same_v<Bridge, StorageBridge>)
    made = bridge->start();
  else
    made = bridge->create();
  put({kind, spec.name, [bridge] { return bridge->status(); },
       [bridge](milliseconds grace, Task done) { bridge->close(grace, std::move(done)); }});
  if (!made) return fail(made.error());
  return std::shared_ptr<Interface>(bridge);
}

void Registry::Core::refuse(const InstanceSpec& spec, Kind kind, std::string reason) {
  InstanceStatus status;
  status.name = spec.name;
  status.plugin = spec.plugin;
  status.interface = interface_of(kind);
  status.state = InstanceState::failed;
  status.reason = reason;
  status.since_ms = wall_ms();
  put({kind, spec.name, [status] { return status; }, [](milliseconds, const Task& done) { done(); }});
  dispatcher_->post([this, name = spec.name, reason = std::move(reason)] {
    log(name).error("failed: {}", reason);
    listener_.state_changed(name, InstanceState::failed, reason);
  });
}

void Registry::Core::put(Instance instance) {
  std::lock_guard lock(mutex_);
  const auto same = std::find_if(instances_.begin(), instances_.end(), [&](const Instance& other) {
    return other.kind == instance.kind && other.name == instance.name;
  });
  if (same != instances_.end())
    *same = std::move(instance);
  else
    instances_.push_back(std::move(instance));
}

void Registry::Core::remove(std::string_view name, Kind kind) {
  Instance dropped;  // its end may take a moment: not under the lock
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(instances_.begin(), instances_.end(),
                                  [&](const Instance& one) { return one.kind == kind && one.name == name; });
  if (found == instances_.end()) return;
  dropped = std::move(*found);
  instances_.erase(found);
}

std::vector<InstanceStatus> Registry::Core::instances() const {
  std::vector<std::function<InstanceStatus()>> all;
  {
    std::lock_guard lock(mutex_);
    all.reserve(instances_.size());
    for (const Instance& instance : instances_) all.push_back(instance.status);
  }
  std::vector<InstanceStatus> out;
  out.reserve(all.size());
  for (const auto& status : all) out.push_back(status());
  return out;
}

void Registry::Core::close_all() {
  std::vector<Instance> all;
  {
    std::lock_guard lock(mutex_);
    all = std::exchange(instances_, {});
  }
  struct Count {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left;
  };
  auto count = std::make_shared<Count>();
  count->left = all.size();
  for (Instance& instance : all)
    instance.close(kLastGrace, [count] {
      std::lock_guard lock(count->mutex);
      --count->left;
      count->changed.notify_all();
    });
  {
    std::unique_lock lock(count->mutex);
    // close() itself gives up on a plugin; this is only longer than the longest it takes.
    count->changed.wait_for(lock, std::chrono::seconds(30), [&] { return count->left == 0; });
  }
  all.clear();
  dispatcher_->stop();
}

Registry::Registry(Settings settings, InstanceListener& listener)
    : core_(std::make_shared<Core>(std::move(settings), listener)) {}

Registry::~Registry() { core_->close_all(); }

void Registry::scan() { core_->scan(); }

std::vector<PluginInfo> Registry::plugins() const { return core_->plugins(); }

Result<std::string> Registry::options_schema(std::string_view plugin, Kind kind) {
  const auto loaded = core_->library(plugin, kind);
  if (!loaded) return fail(loaded.error());
  return (*loaded)->options_schema();
}

Result<std::shared_ptr<StorageInstance>> Registry::create_store(InstanceSpec spec,
                                                                StorageListener& listener) {
  return core_->create<StorageBridge, StorageInstance>(std::move(spec), Kind::store, listener);
}

Result<std::shared_ptr<TransportInstance>> Registry::create_transport(InstanceSpec spec,
                                                                      TransportServices& services) {
  return core_->create<TransportBridge, TransportInstance>(std::move(spec), Kind::transport, services);
}

void Registry::refuse(const InstanceSpec& spec, Kind kind, std::string reason) {
  core_->refuse(spec, kind, std::move(reason));
}

void Registry::remove(std::string_view name, Kind kind) { core_->remove(name, kind); }

std::vector<InstanceStatus> Registry::instances() const { return core_->instances(); }

}  // namespace otagate::plugin

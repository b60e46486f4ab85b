#include "subject.hpp"

#include <dlfcn.h>

#include "check.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::kit {

Subject::Subject(std::string path, const std::string& config_path) : path_(std::move(path)) {
  if (config_path.empty()) return;
  try {
    config_ = toml::parse_file(config_path);
  } catch (const toml::parse_error& error) {
    throw Failed{config_path + ":" + std::to_string(error.source().begin.line) + ": " +
                 std::string(error.description())};
  }
  if (const toml::table* options = config_["options"].as_table()) options_ = *options;
}

std::optional<std::string> Subject::setting(std::string_view key) const {
  return config_["check"][key].value<std::string>();
}

std::int64_t Subject::number(std::string_view key, std::int64_t otherwise) const {
  return config_["check"][key].value_or(otherwise);
}

const toml::array* Subject::bad_options() const { return config_["check"]["bad"].as_array(); }

otagate_plugin_entry_fn Subject::entry() {
  if (entry_) return entry_;
  void* handle = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Failed{std::string("dlopen: ") + ::dlerror()};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): that is how dlsym() gives functions
  entry_ = reinterpret_cast<otagate_plugin_entry_fn>(::dlsym(handle, "otagate_plugin_entry"));
  if (!entry_) throw Failed{"it exports no otagate_plugin_entry"};
  return entry_;
}

const otagate_plugin& Subject::plugin() {
  if (plugin_) return *plugin_;
  const otagate_plugin* raw = entry()(OTAGATE_ABI_MAJOR, OTAGATE_ABI_MINOR);
  if (!raw) throw Failed{"otagate_plugin_entry refuses this version of the ABI"};
  plugin_ = sdk::read_struct<otagate_plugin>(raw);
  if (!plugin_->create || !plugin_->destroy || !plugin_->interface)
    throw Failed{"its description lacks create(), destroy() or interface()"};
  return *plugin_;
}

bool Subject::has(const char* interface) { return plugin().interface(interface) != nullptr; }

const otagate_storage& Subject::storage() {
  if (!storage_) {
    const void* raw = plugin().interface(OTAGATE_STORAGE_1);
    if (!raw) throw Skipped{"the plugin is no store"};
    storage_ = sdk::read_struct<otagate_storage>(raw);
    expect(storage_->list && storage_->fetch, "a store must have list() and fetch()");
  }
  return *storage_;
}

const otagate_transport& Subject::transport() {
  if (!transport_) {
    const void* raw = plugin().interface(OTAGATE_TRANSPORT_1);
    if (!raw) throw Skipped{"the plugin is no transport"};
    transport_ = sdk::read_struct<otagate_transport>(raw);
    expect(transport_->start && transport_->stop, "a transport must have start() and stop()");
  }
  return *transport_;
}

}  // namespace otagate::kit

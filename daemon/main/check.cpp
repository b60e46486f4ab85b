#include "main/check.hpp"

#include <unistd.h>

#include <cstdio>
#include <future>

#include "config/options.hpp"
#include "core/clock.hpp"
#include "firmware/pattern.hpp"
#include "gateway/option_source.hpp"
#include "plugin/registry.hpp"

namespace otagate {

namespace {

// Instances that are created but never started ask for nothing.
class Nothing final : public plugin::StorageListener,
                      public plugin::InstanceListener,
                      public plugin::TransportServices {
 public:
  void changed(std::string_view, std::string_view) override {}
  bool assigned(std::string_view, plugin::Assignment) override { return false; }
  void unassigned(std::string_view, std::string_view) override {}
  void event(std::string_view, plugin::Severity, std::string_view, std::string_view,
             std::string_view) override {}
  void state_changed(std::string_view, plugin::InstanceState, std::string_view) override {}
  std::int64_t now_ms(bool& synchronised) override {
    synchronised = clock_synchronised();
    return wall_ms();
  }
  void check_credential(std::string_view, plugin::Credential,
                        plugin::Reply<plugin::Principal> reply) override {
    reply(fail(not_now()));
  }
  void psk(std::string_view, std::string, plugin::Reply<plugin::Psk> reply) override {
    reply(fail(not_now()));
  }
  void resolve(std::string_view, plugin::ResolveRequest,
               plugin::Reply<std::vector<plugin::Firmware>> reply) override {
    reply(fail(not_now()));
  }
  void catalog(std::string_view, plugin::CatalogRequest, plugin::Reply<plugin::CatalogPage> reply) override {
    reply(fail(not_now()));
  }
  void open(std::string_view, plugin::OpenRequest, bool,
            plugin::Reply<std::shared_ptr<plugin::Blob>> reply) override {
    reply(fail(not_now()));
  }
  void presign(std::string_view, plugin::RedirectRequest, plugin::Reply<std::string> reply) override {
    reply(fail(not_now()));
  }
  void check_in(std::string_view, plugin::CheckIn, plugin::Reply<plugin::Offer> reply) override {
    reply(fail(not_now()));
  }
  void progress(std::string_view, plugin::Progress, plugin::Reply<std::uint32_t> reply) override {
    reply(fail(not_now()));
  }

 private:
  static Error not_now() { return {Code::busy, "the configuration is only being checked"}; }
};

template <class Instance>
void close_and_wait(const std::shared_ptr<Instance>& instance) {
  std::promise<void> closed;
  instance->close(std::chrono::milliseconds(5000), [&] { closed.set_value(); });
  closed.get_future().wait();
}

}  // namespace

bool check_instances(const config::Config& config) {
  Nothing nothing;
  plugin::Registry::Settings settings;
  settings.folders = config.daemon.plugin_dirs;
  settings.trust_own_user = ::geteuid() != 0;
  plugin::Registry registry(std::move(settings), nothing);
  registry.scan();
  bool good = true;

  const auto check = [&](std::string_view kind_name, plugin::Kind kind, const auto& entry) {
    const auto wrong = [&](const std::string& text) {
      good = false;
      std::fprintf(stderr, "%s\n", text.c_str());
    };
    const std::string where =
        entry.where.to_string() + ": " + std::string(kind_name) + " " + entry.name + ": ";
    auto schema = registry.options_schema(entry.plugin, kind);
    if (!schema) return wrong(where + schema.error().message());
    auto resolved =
        config::resolve_options(entry.options, *schema, {kind_name, entry.name, entry.plugin, &entry.where});
    for (const Problem& problem : resolved.problems) wrong(problem.to_string());
    for (const Problem& warning : resolved.warnings)
      std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
    if (!resolved.problems.empty()) return;
    plugin::InstanceSpec spec{entry.name, entry.plugin,
                              gateway::make_option_source(std::move(resolved.options))};
    if (kind == plugin::Kind::store) {
      auto instance = registry.create_store(spec, nothing);
      if (!instance) return wrong(where + instance.error().message());
      close_and_wait(*instance);
    } else {
      auto instance = registry.create_transport(spec, nothing);
      if (!instance) return wrong(where + instance.error().message());
      close_and_wait(*instance);
    }
  };
  for (const config::Store& store : config.stores) {
    for (const std::string& text : store.pattern) {
      if (const auto pattern = firmware::Pattern::compile(text); !pattern) {
        good = false;
        std::fprintf(stderr, "%s: store.%s.pattern: %s\n", store.where.to_string().c_str(),
                     store.name.c_str(), pattern.error().message().c_str());
      }
    }
    if (store.enabled) check("store", plugin::Kind::store, store);
  }
  for (const config::Transport& transport : config.transports) {
    if (transport.enabled) check("transport", plugin::Kind::transport, transport);
  }
  return good;
}

}  // namespace otagate

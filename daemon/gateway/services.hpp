// What the gateway does for its transports: the catalog, readers, credentials, redirects, check-ins.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cache/cache.hpp"
#include "gateway/catalog.hpp"
#include "gateway/credentials.hpp"
#include "gateway/fleet.hpp"
#include "gateway/opener.hpp"
#include "plugin/transport.hpp"

namespace otagate::gateway {

// Thread-safe; outlives the transports.
class Services final : public plugin::TransportServices {
 public:
  Services(Catalog& catalog, Opener& opener, Credentials& credentials, cache::Cache& cache, Fleet& fleet)
      : catalog_(catalog), opener_(opener), credentials_(credentials), cache_(cache), fleet_(fleet) {}

  // Stores whose firmware is answered with a redirect. Null client: the store is gone.
  void set_redirect(const std::string& store, std::shared_ptr<StoreClient> client,
                    std::chrono::milliseconds expiry);

  void check_credential(std::string_view instance, plugin::Credential credential,
                        plugin::Reply<plugin::Principal> reply) override;
  void psk(std::string_view instance, std::string identity, plugin::Reply<plugin::Psk> reply) override;
  void resolve(std::string_view instance, plugin::ResolveRequest request,
               plugin::Reply<std::vector<plugin::Firmware>> reply) override;
  void catalog(std::string_view instance, plugin::CatalogRequest request,
               plugin::Reply<plugin::CatalogPage> reply) override;
  void open(std::string_view instance, plugin::OpenRequest request, bool streaming,
            plugin::Reply<std::shared_ptr<plugin::Blob>> reply) override;
  void presign(std::string_view instance, plugin::RedirectRequest request,
               plugin::Reply<std::string> reply) override;
  void check_in(std::string_view instance, plugin::CheckIn check_in,
                plugin::Reply<plugin::Offer> reply) override;
  void progress(std::string_view instance, plugin::Progress progress,
                plugin::Reply<std::uint32_t> reply) override;

 private:
  static constexpr std::uint64_t kDigestBit = std::uint64_t{1} << 62;
  static constexpr std::size_t kMostUncatalogued = 4096;
  std::uint64_t handle_of(const Digest& digest);
  struct Redirect {
    std::shared_ptr<StoreClient> client;
    std::chrono::milliseconds expiry{0};
  };
  plugin::Firmware to_firmware(const Entry& entry) const;
  bool redirects(const std::string& store) const;
  void open_digest(const plugin::OpenRequest& request, bool streaming,
                   const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply);

  // Answers with a reader of its bytes under that tag.
  void open_entry(const Entry& entry, const plugin::OpenRequest& request, bool streaming,
                  const std::string& tag, const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply);
  void open_part(const std::shared_ptr<const Principal>& principal, plugin::OpenRequest request,
                 bool streaming, const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply);

  Catalog& catalog_;
  Opener& opener_;
  Credentials& credentials_;
  cache::Cache& cache_;
  Fleet& fleet_;
  mutable std::mutex mutex_;
  std::map<std::string, Redirect, std::less<>> redirects_;  // under mutex_
  std::map<std::uint64_t, Digest> uncatalogued_;            // by handle_of(), under mutex_
};

}  // namespace otagate::gateway

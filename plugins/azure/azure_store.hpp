// One container as a store.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "azure/access.hpp"
#include "azure/address.hpp"
#include "azure/entra.hpp"
#include "azure/sas.hpp"
#include "azure/shared_key.hpp"
#include "common/http_client/http_client.hpp"
#include "common/object_store/recent_checks.hpp"
#include "common/object_store/signing_clock.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::azure {

class AzureStore : public sdk::Store {
 public:
  explicit AzureStore(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;
  std::string presign(const sdk::PresignRequest& request, sdk::Call& call) override;
  sdk::Object publish(const sdk::PublishRequest& request, sdk::Call& call) override;

 private:
  // A request to be authorised: what HttpRequest does not have.
  struct Outgoing {
    std::string path{};
    Params query{};
    Params headers{};  // besides what authorises; names in lower case
    bool of_container = false;
    bool of_service = false;
  };
  // With what a request went out.
  struct Proof {
    std::optional<std::int64_t> signed_at{};
    std::string token{};
  };

  // Authorises and sends. Failures are thrown as sdk::Failure, those that Azure names and those of the
  // connection alike; 2xx and 416 are returned.
  common::HttpResponse send(const Outgoing& what, common::HttpRequest request, sdk::Call& call);
  // Adds to the headers what proves who asks; the query, encoded.
  std::string authorise(Params& headers, const Outgoing& what, const common::HttpRequest& request,
                        Proof& proof, sdk::Call& call);
  [[noreturn]] void refuse(const Outgoing& what, const common::HttpResponse& response,
                           const common::HttpRequest& request, const Proof& proof);
  void check_object(std::string_view key, std::string_view token, sdk::Call& call);
  DelegationKey delegation_key(sdk::Call& call);

  sdk::StoreHost& host_;
  const std::string prefix_;
  const std::string delimiter_;
  const bool tags_;
  const bool publish_;
  const Access access_;
  const Address address_;
  const std::unique_ptr<common::HttpClient> http_;
  EntraTokens tokens_;
  common::SigningClock clock_;
  common::RecentChecks checked_;

  std::mutex mutex_;  // held while a key is asked for: others wait for the same answer
  // Under mutex_: what signs URLs with Entra ID, and until when it is used.
  std::optional<DelegationKey> delegation_;
  std::chrono::steady_clock::time_point delegation_until_;
};

}  // namespace otagate::azure

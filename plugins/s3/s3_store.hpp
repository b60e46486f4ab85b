// One bucket as a store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/http_client.hpp"
#include "common/object_store/recent_checks.hpp"
#include "common/object_store/signing_clock.hpp"
#include "otagate/cpp/store.hpp"
#include "s3/address.hpp"
#include "s3/credentials.hpp"
#include "s3/sigv4.hpp"

namespace otagate::s3 {

class S3Store : public sdk::Store {
 public:
  explicit S3Store(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;
  sdk::Object stat(std::string_view key, sdk::Call& call) override;
  std::string presign(const sdk::PresignRequest& request, sdk::Call& call) override;
  sdk::Object publish(const sdk::PublishRequest& request, sdk::Call& call) override;

 private:
  // A request to be signed: what HttpRequest does not have.
  struct Unsigned {
    std::string path{};
    Params query{};
    Params headers{};  // besides host and x-amz-*: signed as well; names in lower case
    std::string payload_hash{kEmptyHash};
  };

  // Signs and sends. Failures are thrown as sdk::Failure, those that S3 names and those of the
  // connection alike; 2xx and 416 are returned.
  common::HttpResponse send(const Unsigned& what, common::HttpRequest request, sdk::Call& call);
  [[noreturn]] void refuse(const Unsigned& what, const common::HttpResponse& response,
                           const common::HttpRequest& request, std::optional<std::int64_t> signed_at);
  sdk::Object head(std::string_view key, std::string_view token, sdk::Call& call);

  sdk::StoreHost& host_;
  const std::string bucket_;
  const std::string prefix_;
  const std::string delimiter_;
  const bool metadata_;
  const bool publish_;
  const Scope scope_;
  const Address address_;
  const std::unique_ptr<CredentialSource> credentials_;
  const std::unique_ptr<common::HttpClient> http_;
  common::SigningClock clock_;
  common::RecentChecks checked_;
};

}  // namespace otagate::s3

// A bucket, or several of one account, as a store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_client/http_client.hpp"
#include "common/object_store/recent_checks.hpp"
#include "common/object_store/signing_clock.hpp"
#include "otagate/cpp/store.hpp"
#include "s3/address.hpp"
#include "s3/credentials.hpp"
#include "s3/encryption.hpp"
#include "s3/list_xml.hpp"
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
  struct Bucket {
    std::string name;
    Address address;
  };
  // What a key of the gateway's means: with several buckets it begins with the bucket's name, and
  // "?versionId=" at its end names a version that is not the latest.
  struct Place {
    const Bucket* bucket = nullptr;
    std::string key{};
    std::string version{};
  };
  // A request to be signed: what HttpRequest does not have.
  struct Unsigned {
    const Bucket* bucket = nullptr;
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
  static std::vector<Bucket> make_buckets(const sdk::StoreHost& host);
  Place place_of(std::string_view key) const;
  std::string key_of(const Bucket& bucket, std::string_view key, std::string_view version) const;
  // A request for an object, with what encryption asks for.
  Unsigned object_request(const Place& place) const;
  Params page_query(const sdk::ListRequest& request, std::string_view cursor) const;
  // The cursor after a page of a bucket; empty: it was the bucket's last.
  std::string next_in_bucket(const Bucket& bucket, const PageEnd& end, std::string_view cursor) const;

  sdk::StoreHost& host_;
  const std::string prefix_;
  const std::string delimiter_;
  const bool metadata_;
  const bool publish_;
  const bool all_versions_;
  const bool requester_pays_;
  const Encryption encryption_;
  const Scope scope_;
  const std::vector<Bucket> buckets_;  // at least one
  const std::unique_ptr<CredentialSource> credentials_;
  const std::unique_ptr<common::HttpClient> http_;
  common::SigningClock clock_;
  common::RecentChecks checked_;
};

}  // namespace otagate::s3

// The registry's API: one attempt per call, signed in as it asks. Failures are thrown as sdk::Failure.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_client/http_client.hpp"
#include "oci/authenticator.hpp"
#include "oci/reference.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::oci {

using Cancelled = std::function<bool()>;

struct TagsPage {
  std::vector<std::string> tags{};
  std::string next{};  // path and query of the next page, "" for none
};

// A document under its digest: the bytes have been held against it.
struct RawManifest {
  std::string digest{};
  std::string content_type{};
  std::string body{};
};

class Registry {
 public:
  explicit Registry(sdk::StoreHost& host);

  const std::string& url() const { return url_; }

  // `page`: "" for the first, else what the page before said.
  TagsPage tags(const std::string& repository, const std::string& page, std::uint32_t limit,
                const Cancelled& cancelled);

  // The digest that a tag names now; nullopt when there is no such tag. One HEAD; a GET where the server
  // does not say the digest.
  std::optional<std::string> resolve(const std::string& repository, const std::string& tag,
                                     const Cancelled& cancelled);

  // By tag or digest; nullopt when it is not there.
  std::optional<RawManifest> manifest(const std::string& repository, const std::string& reference,
                                      const Cancelled& cancelled);

  // A small blob whole, its digest checked.
  std::string small_blob(const std::string& repository, const std::string& digest, std::size_t limit,
                         const Cancelled& cancelled);

  // Sends `request` to the blob: its headers, on_head and on_body are the caller's. Redirects are followed
  // without what is bound to the registry. 2xx and 416 are returned.
  common::HttpResponse blob(const std::string& repository, const std::string& digest,
                            common::HttpRequest request, const Cancelled& cancelled);

  // The index of what refers to a manifest; nullopt when the server has no such API.
  std::optional<RawManifest> referrers(const std::string& repository, const std::string& digest,
                                       const Cancelled& cancelled);

  bool has_blob(const std::string& repository, const std::string& digest, const Cancelled& cancelled);
  // Uploads a blob in one piece.
  void put_blob(const std::string& repository, const std::string& digest, common::HttpBody body,
                const Cancelled& cancelled);
  void put_manifest(const std::string& repository, const std::string& reference, const std::string& body,
                    std::string_view media_type, const Cancelled& cancelled);

 private:
  // Answers for which `good` holds are returned, others thrown. `path` begins after /v2/.
  using Good = bool (*)(long status);
  common::HttpResponse send(const std::string& url, common::HttpRequest request,
                            const std::string& repository, Access access, Good good,
                            const Cancelled& cancelled);
  std::string api(const std::string& repository, std::string_view rest) const;
  std::string same_origin(const std::string& base, const std::string& location) const;
  RawManifest checked(common::HttpResponse response, const std::string& reference,
                      const std::string& url) const;

  sdk::StoreHost& host_;
  const std::string url_;  // without a slash at its end
  const std::unique_ptr<common::HttpClient> http_;
  Authenticator authenticator_;
};

}  // namespace otagate::oci

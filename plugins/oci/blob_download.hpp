// One ranged GET of a blob: what its head says, and where its bytes go.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/http_client/http_client.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::oci {

// Lives for one fetch() of a blob whose size the manifest has said. The on_* members throw nothing: they
// run below curl.
class BlobDownload {
 public:
  // Borrows both. `token` is what begin() says to the gateway.
  BlobDownload(const sdk::FetchRequest& request, std::uint64_t size, std::string token, sdk::FetchSink& sink);

  // Nothing of the blob is wanted: begin() was called, and no request need be made.
  bool nothing_wanted();
  // The value of Range, empty for the whole blob.
  std::string range() const;

  bool on_head(const common::HttpHead& head);
  bool on_body(std::span<const char> bytes);
  // After the answer: throws what was wrong with it.
  void finish(const std::string& where) const;

 private:
  struct Problem {
    std::uint32_t status;
    std::string message;
  };
  bool problem(std::uint32_t status, std::string message);

  const std::uint64_t offset_;
  const std::uint64_t size_;
  const std::uint64_t wanted_;
  const std::string token_;
  sdk::FetchSink& sink_;
  std::optional<Problem> problem_;
  std::uint64_t got_ = 0;
};

}  // namespace otagate::oci

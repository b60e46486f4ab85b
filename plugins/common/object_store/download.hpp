// One ranged GET of an object: what its head says, and where its bytes go.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/http_client/http_client.hpp"
#include "common/object_store/query.hpp"
#include "common/object_store/ranges.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::common {

// Lives for one fetch().
class Download {
 public:
  // Throws OTAGATE_CHANGED when the change token is none that make_token() gave. `request` and `sink`
  // are borrowed.
  Download(const sdk::FetchRequest& request, sdk::FetchSink& sink);

  // Range and If-Match, as far as they are wanted.
  Params headers() const;
  // A GET without URL whose answer comes here: its head is checked against the range and the token asked
  // for, and bytes past the range are not passed on. Borrows this.
  HttpRequest request();

  // After a 2xx or a 416: throws what was wrong with it as sdk::Failure. A range that starts at the end
  // or beyond is no failure, unless the object has shrunk.
  void finish(const HttpHead& head, const std::string& url) const;

 private:
  bool on_head(const HttpHead& head);
  bool on_body(std::span<const char> bytes);
  struct Problem {
    std::uint32_t status;
    std::string message;
  };
  bool problem(std::uint32_t status, std::string message);
  bool read_span(const HttpHead& head);
  void finish_beyond_end(const HttpHead& head, const std::string& where) const;

  const sdk::FetchRequest& request_;
  const std::optional<Token> expected_;
  sdk::FetchSink& sink_;
  std::optional<Problem> problem_;
  std::optional<std::uint64_t> expected_bytes_;
  std::uint64_t total_ = OTAGATE_SIZE_UNKNOWN;
  std::uint64_t left_ = 0;
  std::uint64_t got_ = 0;
};

}  // namespace otagate::common

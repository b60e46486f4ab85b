// One GET of an object or a part of it, from a server that may know nothing of ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/http_client/http_client.hpp"
#include "otagate/cpp/store.hpp"
#include "web/validator.hpp"

namespace otagate::web {

// Of a download; a listing follows none.
inline constexpr unsigned kMaxRedirects = 5;

// Lives for one fetch(). Each answer is held against `known`, whether or not the server looks at
// conditions; `request` and `sink` are borrowed.
class Download {
 public:
  Download(const sdk::FetchRequest& request, Validator known, sdk::FetchSink& sink)
      : request_(request), known_(std::move(known)), sink_(sink) {}

  // A GET without URL: Range, If-Match where the tag is strong, and this as the receiver. Borrows this.
  common::HttpRequest request();

  // After a 2xx or a 416: throws what was wrong with it as sdk::Failure.
  void finish(const common::HttpHead& head, const std::string& url) const;

  // Of a 2xx whose head was taken: what the server says of the state that it sent.
  const std::optional<Validator>& seen() const { return seen_; }
  // Whether the server keeps to ranges; nothing where the answer does not tell.
  std::optional<bool> ranges() const { return ranges_; }

 private:
  struct Problem {
    std::uint32_t status;
    std::string message;
  };
  bool on_head(const common::HttpHead& head);
  bool on_body(std::span<const char> bytes);
  bool wants_more() const;
  bool problem(std::uint32_t status, std::string message);
  void finish_beyond_end(const common::HttpHead& head, const std::string& where) const;

  const sdk::FetchRequest& request_;
  const Validator known_;
  sdk::FetchSink& sink_;
  std::optional<Problem> problem_{};
  std::optional<Validator> seen_{};
  std::optional<bool> ranges_{};
  std::uint64_t total_ = OTAGATE_SIZE_UNKNOWN;
  std::uint64_t skip_ = 0;                   // of an answer that begins before the range
  std::uint64_t left_ = 0;                   // of the range
  std::uint64_t received_ = 0;               // of the body
  bool promised_ = false;                    // left_ is what must come, not what may
  std::optional<std::uint64_t> declared_{};  // the body's size where only the listing says it
};

}  // namespace otagate::web

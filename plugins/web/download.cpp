#include "web/download.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"
#include "common/object_store/ranges.hpp"

namespace otagate::web {
namespace {

constexpr const char* kChanged = "the object has changed since it was listed";

}  // namespace

common::HttpRequest Download::request() {
  common::HttpRequest http;
  http.max_redirects = kMaxRedirects;
  if (request_.offset > 0 || request_.length > 0) {
    http.headers.push_back({"Range", common::byte_range(request_.offset, request_.length), false});
  }
  if (strong(known_.etag)) http.headers.push_back({"If-Match", known_.etag, false});
  http.on_head = [this](const common::HttpHead& head) { return on_head(head); };
  http.on_body = [this](std::span<const char> bytes) { return on_body(bytes); };
  return http;
}

bool Download::problem(std::uint32_t status, std::string message) {
  problem_ = Problem{status, std::move(message)};
  return false;
}

bool Download::on_head(const common::HttpHead& head) {
  if (head.status < 200 || head.status > 299) return true;
  if (head.status != 200 && head.status != 206) {
    return problem(OTAGATE_PERMANENT, "status " + std::to_string(head.status) + " is none of a file");
  }
  left_ = request_.length > 0 ? request_.length : UINT64_MAX;
  if (head.status == 206) {
    const std::string* value = head.find("content-range");
    const auto range = value ? common::parse_content_range(*value) : std::nullopt;
    if (!range || !range->satisfied || range->first != request_.offset) {
      return problem(OTAGATE_TRANSIENT, "the answer holds another range than was asked for");
    }
    total_ = range->total;
    left_ = std::min(left_, range->last - range->first + 1);
    ranges_ = true;
  } else {
    total_ = common::content_length(head);
    skip_ = request_.offset;
    const bool part = skip_ > 0 || (request_.length > 0 && total_ != OTAGATE_SIZE_UNKNOWN && left_ < total_);
    if (part) {
      ranges_ = false;
    } else if (takes_ranges(head)) {
      ranges_ = true;
    }
  }

  Validator answer = validator_of(head, total_);
  if (!same(known_, answer)) return problem(OTAGATE_CHANGED, kChanged);
  if (head.status == 200 && total_ == OTAGATE_SIZE_UNKNOWN && known_.size != OTAGATE_SIZE_UNKNOWN) {
    total_ = known_.size;
    declared_ = total_;
  }
  if (total_ != OTAGATE_SIZE_UNKNOWN) left_ = std::min(left_, total_ - std::min(request_.offset, total_));
  promised_ = head.status == 206 || total_ != OTAGATE_SIZE_UNKNOWN;
  seen_ = std::move(answer);
  if (!sink_.begin(total_, request_.change_token)) return false;
  return wants_more();
}

// Where only the listing says how long the object is, one byte more is wanted: there should be none.
bool Download::wants_more() const { return left_ > 0 || (declared_ && request_.length == 0); }

bool Download::on_body(std::span<const char> bytes) {
  if (declared_ && bytes.size() > *declared_ - received_) {
    bytes = bytes.first(static_cast<std::size_t>(*declared_ - received_));
    problem(OTAGATE_PERMANENT, "the server sends more than the " + std::to_string(*declared_) +
                                   " bytes that the listing declares; correct its 'size'");
  }
  received_ += bytes.size();
  const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
  skip_ -= skipped;
  bytes = bytes.subspan(skipped);
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
  if (take > 0 && !sink_.write(bytes.data(), take)) return false;
  left_ -= take;
  return !problem_ && wants_more();
}

void Download::finish(const common::HttpHead& head, const std::string& url) const {
  const std::string where = "GET " + common::redacted_url(url) + ": ";
  if (head.status == 416) return finish_beyond_end(head, where);
  if (problem_) throw sdk::Failure(problem_->status, where + problem_->message);
  if (promised_ && left_ > 0) {
    throw sdk::Failure(OTAGATE_TRANSIENT,
                       where + "the answer ended " + std::to_string(left_) + " bytes before its time");
  }
}

// A range that starts at the end or beyond is no failure, unless the object has shrunk.
void Download::finish_beyond_end(const common::HttpHead& head, const std::string& where) const {
  const std::string* value = head.find("content-range");
  const auto range = value ? common::parse_content_range(*value) : std::nullopt;
  const std::uint64_t total = range ? range->total : OTAGATE_SIZE_UNKNOWN;
  Validator answer = validator_of(head, total);
  // The answer is a page about the failure, and its tag and time are that page's.
  answer.etag.clear();
  answer.modified = 0;
  const bool inside = known_.size != OTAGATE_SIZE_UNKNOWN && request_.offset < known_.size;
  if (!same(known_, answer) || inside) throw sdk::Failure(OTAGATE_CHANGED, where + kChanged);
  sink_.begin(total, request_.change_token);
}

}  // namespace otagate::web

#include "common/object_store/download.hpp"

#include <algorithm>
#include <utility>

#include "common/http_client/url.hpp"

namespace otagate::common {
namespace {

constexpr char kChanged[] = "the object has changed since it was listed";

std::optional<Token> expected_token(std::string_view change_token) {
  if (change_token.empty()) return std::nullopt;
  std::optional<Token> token = parse_token(change_token);
  if (!token) throw sdk::Failure(OTAGATE_CHANGED, "the change token is none that this store gave");
  return token;
}

}  // namespace

Download::Download(const sdk::FetchRequest& request, sdk::FetchSink& sink)
    : request_(request), expected_(expected_token(request.change_token)), sink_(sink) {}

Params Download::headers() const {
  Params out;
  if (request_.offset > 0 || request_.length > 0)
    out.emplace_back("range", byte_range(request_.offset, request_.length));
  if (expected_ && !expected_->etag.empty()) out.emplace_back("if-match", in_quotes(expected_->etag));
  return out;
}

HttpRequest Download::request() {
  HttpRequest out;
  out.on_head = [this](const HttpHead& head) { return on_head(head); };
  out.on_body = [this](std::span<const char> bytes) { return on_body(bytes); };
  return out;
}

// The callbacks run below curl and throw nothing.
bool Download::on_head(const HttpHead& head) {
  if (head.status != 200 && head.status != 206) return true;
  if (!read_span(head)) return false;
  const std::string token = make_token(etag_of(head), total_);
  if (expected_ && make_token(expected_->etag, expected_->size) != token) {
    return problem(OTAGATE_CHANGED, kChanged);
  }
  return sink_.begin(total_, token);
}

bool Download::on_body(std::span<const char> bytes) {
  const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
  if (!sink_.write(bytes.data(), take)) return false;
  left_ -= take;
  got_ += take;
  // A server that ignores ranges would go on to the end of the object.
  return left_ > 0 || take == bytes.size();
}

void Download::finish(const HttpHead& head, const std::string& url) const {
  const std::string where = "GET " + redacted_url(url) + ": ";
  if (head.status == 416) return finish_beyond_end(head, where);
  if (problem_) throw sdk::Failure(problem_->status, where + problem_->message);
  if (expected_bytes_ && got_ != *expected_bytes_) {
    throw sdk::Failure(OTAGATE_TRANSIENT, where + "the answer ended after " + std::to_string(got_) + " of " +
                                              std::to_string(*expected_bytes_) + " bytes");
  }
}

void Download::finish_beyond_end(const HttpHead& head, const std::string& where) const {
  const std::string* value = head.find("content-range");
  const std::optional<ContentRange> range = value ? parse_content_range(*value) : std::nullopt;
  const std::uint64_t total = range ? range->total : OTAGATE_SIZE_UNKNOWN;
  if (expected_ && expected_->size != OTAGATE_SIZE_UNKNOWN) {
    const bool other_size = total != OTAGATE_SIZE_UNKNOWN && total != expected_->size;
    if (other_size || request_.offset < expected_->size)
      throw sdk::Failure(OTAGATE_CHANGED, where + kChanged);
  }
  sink_.begin(total, request_.change_token);
}

bool Download::problem(std::uint32_t status, std::string message) {
  problem_ = Problem{status, std::move(message)};
  return false;
}

bool Download::read_span(const HttpHead& head) {
  if (head.status == 206) {
    const std::string* value = head.find("content-range");
    const std::optional<ContentRange> range = value ? parse_content_range(*value) : std::nullopt;
    const bool beyond = range && !range->satisfied && range->total <= request_.offset;
    if (!beyond && (!range || !range->satisfied || range->first != request_.offset)) {
      return problem(OTAGATE_TRANSIENT, "the answer holds another range than was asked for");
    }
    total_ = range->total;
    expected_bytes_ = beyond ? 0 : range->last - range->first + 1;
  } else {
    if (request_.offset > 0) return problem(OTAGATE_UNSUPPORTED, "the server ignores ranges");
    total_ = content_length(head);
    if (total_ != OTAGATE_SIZE_UNKNOWN) expected_bytes_ = total_;
  }
  left_ = request_.length > 0 ? request_.length : UINT64_MAX;
  if (expected_bytes_ == 0) left_ = 0;
  if (expected_bytes_) expected_bytes_ = std::min(*expected_bytes_, left_);
  return true;
}

}  // namespace otagate::common

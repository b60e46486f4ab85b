#include "http/body.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace otagate::http {
namespace {

namespace beast = boost::beast;

Problem too_large(std::uint64_t limit) {
  return Problem{
      413,
      "the body is larger than body_limit, which is " + std::to_string(limit) + " bytes on this listener", 0};
}

}  // namespace

std::optional<Problem> body_problem(const Request& request, bool required, std::uint64_t limit) {
  if (required && !request.length_stated) {
    return Problem{411, "send the body with a Content-Length, or in chunks", 0};
  }
  if (request.content_length > limit) return too_large(limit);
  return std::nullopt;
}

// Beast undoes the framing and keeps the bound; the head's fields were judged by parse_request().
class BodyReader::Parser final : public beast::http::basic_parser<true> {
 public:
  Parser(std::string_view head, std::uint64_t limit, Keep keep) : limit_(limit), keep_(keep) {
    header_limit(static_cast<std::uint32_t>(head.size()));
    body_limit(limit);
    eager(true);
    put_some(head);
    in_body_ = true;
  }

  std::size_t put_some(std::string_view bytes) {
    beast::error_code ec;
    const std::size_t count = put(boost::asio::const_buffer(bytes.data(), bytes.size()), ec);
    if (!ec || ec == beast::http::error::need_more) return count;
    if (problem_) return count;
    problem_ = ec == beast::http::error::body_limit
                   ? too_large(limit_)
                   : Problem{400, "the body's chunks are malformed: " + ec.message(), 0};
    return count;
  }

  const std::optional<Problem>& problem() const { return problem_; }
  std::string& text() { return text_; }

 private:
  std::size_t take(beast::string_view part) {
    if (keep_ == Keep::kYes) text_.append(part.data(), part.size());
    return part.size();
  }

  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int,
                       beast::error_code&) override {}
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  // In the body these are a trailer's, which nothing here has a use for.
  void on_field_impl(beast::http::field, beast::string_view, beast::string_view,
                     beast::error_code& ec) override {
    if (!in_body_ || ++trailers_ <= kMaxFields) return;
    problem_ = Problem{431, "the trailer has more than 100 fields", 0};
    ec = beast::http::error::bad_field;
  }
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view part, beast::error_code&) override { return take(part); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, beast::error_code&) override {
    return take(part);
  }
  void on_finish_impl(beast::error_code&) override {}

  const std::uint64_t limit_;
  const Keep keep_;
  bool in_body_ = false;
  std::size_t trailers_ = 0;
  std::string text_;
  std::optional<Problem> problem_;
};

BodyReader::BodyReader(std::string_view head, std::uint64_t limit, Keep keep)
    : parser_(std::make_unique<Parser>(head, limit, keep)) {}
BodyReader::~BodyReader() = default;
BodyReader::BodyReader(BodyReader&&) noexcept = default;
BodyReader& BodyReader::operator=(BodyReader&&) noexcept = default;

std::size_t BodyReader::feed(std::string_view bytes) { return bytes.empty() ? 0 : parser_->put_some(bytes); }
bool BodyReader::done() const { return !parser_->problem() && parser_->is_done(); }
const std::optional<Problem>& BodyReader::problem() const { return parser_->problem(); }
const std::string& BodyReader::text() const { return parser_->text(); }
std::string BodyReader::take_text() { return std::move(parser_->text()); }

}  // namespace otagate::http

#include "http/request.hpp"

#include <functional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "http/target.hpp"

namespace otagate::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;
using beast::http::verb;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Beast checks the grammar, the framing (Content-Length against Transfer-Encoding and against itself)
// and the version; what a field means is noted here.
class HeadParser final : public beast::http::basic_parser<true> {
 public:
  HeadParser(std::string_view head, Request& request) : head_(head), request_(request) {
    header_limit(static_cast<std::uint32_t>(head.size()));
    body_limit(boost::none);
  }

  const std::optional<Problem>& problem() const { return problem_; }

 private:
  void refuse(unsigned status, std::string message, beast::error_code& ec) {
    problem_ = Problem{status, std::move(message), 0};
    ec = beast::http::error::bad_field;
  }

  // A second line of a field that may stand once only lets two readers see two different requests.
  void once(std::string_view& slot, std::string_view value, const char* name, beast::error_code& ec) {
    if (slot.data() != nullptr) {
      refuse(400, std::string("the header field ") + name + " was sent twice", ec);
    }
    slot = value;
  }

  void on_request_impl(verb method, beast::string_view, beast::string_view target, int version,
                       beast::error_code& ec) override {
    switch (method) {
      case verb::get: request_.method = Method::kGet; break;
      case verb::head: request_.method = Method::kHead; break;
      case verb::post: request_.method = Method::kPost; break;
      case verb::put: request_.method = Method::kPut; break;
      case verb::delete_: request_.method = Method::kDelete; break;
      case verb::unknown: request_.method = Method::kUnknown; break;
      default: request_.method = Method::kKnown; break;
    }
    request_.http_1_1 = version == 11;
    request_.target = view(target);
    if (target.size() > kMaxTargetSize) {
      refuse(414, "the request target is longer than 4096 bytes", ec);
    }
  }

  void on_field_impl(field name, beast::string_view, beast::string_view raw, beast::error_code& ec) override {
    if (++fields_ > kMaxFields) return refuse(431, "the request has more than 100 header fields", ec);
    const std::string_view value = view(raw);
    const std::less_equal<const char*> not_after;
    const bool in_place =
        value.empty() || (not_after(head_.data(), value.data()) &&
                          not_after(value.data() + value.size(), head_.data() + head_.size()));
    if (!in_place) return refuse(400, "a header field is folded over several lines", ec);
    switch (name) {
      case field::host: return once(request_.host, value, "Host", ec);
      case field::authorization: return once(request_.authorization, value, "Authorization", ec);
      case field::content_type: return once(request_.content_type, value, "Content-Type", ec);
      case field::accept:
        if (request_.accept.data() == nullptr) request_.accept = value;
        return;
      case field::range: return once(request_.range, value, "Range", ec);
      case field::if_match: return once(request_.conditions.if_match, value, "If-Match", ec);
      case field::if_none_match: return once(request_.conditions.if_none_match, value, "If-None-Match", ec);
      case field::if_modified_since:
        return once(request_.conditions.if_modified_since, value, "If-Modified-Since", ec);
      case field::if_unmodified_since:
        return once(request_.conditions.if_unmodified_since, value, "If-Unmodified-Since", ec);
      case field::if_range: return once(request_.conditions.if_range, value, "If-Range", ec);
      case field::transfer_encoding:
        // Anything else would leave open where the body ends (RFC 9112 section 6.1).
        if (!request_.http_1_1) {
          return refuse(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length", ec);
        }
        if (!beast::iequals(raw, "chunked")) {
          return refuse(501, "the only transfer coding this server knows is chunked", ec);
        }
        return;
      case field::expect:
        if (!beast::iequals(raw, "100-continue")) {
          return refuse(417, "the only expectation this server meets is 100-continue", ec);
        }
        request_.expect_continue = true;
        return;
      default: return;
    }
  }

  void on_header_impl(beast::error_code& ec) override {
    if (request_.http_1_1 && request_.host.data() == nullptr) {
      return refuse(400, "an HTTP/1.1 request needs a Host header field", ec);
    }
    const auto length = content_length();
    request_.content_length = length ? *length : 0;
    request_.length_stated = length.has_value() || chunked();
    request_.has_body = chunked() || request_.content_length > 0;
    request_.keep_alive = keep_alive();
  }

  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code&) override {
    return body.size();
  }
  void on_finish_impl(beast::error_code&) override {}

  const std::string_view head_;
  Request& request_;
  std::size_t fields_ = 0;
  std::optional<Problem> problem_;
};

}  // namespace

std::size_t find_head(std::string_view bytes, std::size_t& searched) {
  const std::size_t from = searched < 3 ? 0 : searched - 3;
  const std::size_t at = bytes.find("\r\n\r\n", from);
  searched = bytes.size();
  return at == std::string_view::npos ? 0 : at + 4;
}

std::optional<Problem> parse_request(std::string_view head, Request& request) {
  request = Request{};
  HeadParser parser(head, request);
  beast::error_code ec;
  // put() stops once after the request line's and the fields' end; it allocates only for buffers in parts.
  parser.put(boost::asio::const_buffer(head.data(), head.size()), ec);
  if (parser.problem()) return parser.problem();
  if (ec == beast::http::error::bad_version) {
    return Problem{505, "this server speaks HTTP/1.0 and HTTP/1.1", 0};
  }
  if (ec || !parser.is_header_done()) {
    return Problem{400, "the request is malformed: " + (ec ? ec.message() : std::string("incomplete header")),
                   0};
  }
  return std::nullopt;
}

}  // namespace otagate::http

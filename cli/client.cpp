#include "client.hpp"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fstream>
#include <istream>
#include <vector>

namespace otagate::cli {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint64_t kMostBody = 64 << 20;
constexpr std::size_t kPiece = 64 << 10;

// The daemon's spelling of an error's class.
Code code_of(std::string_view text) {
  for (std::uint32_t i = 0; i <= static_cast<std::uint32_t>(Code::precondition); ++i) {
    if (to_string(static_cast<Code>(i)) == text) return static_cast<Code>(i);
  }
  return Code::internal;
}

Error refused(const std::string& where, const boost::system::error_code& error) {
  std::string advice = "is otagated running?";
  if (error == boost::system::errc::permission_denied)
    advice = "join the group that may use it: sudo adduser $USER otagate, then log in again";
  return {Code::transient, where + ": " + error.message() + "; " + advice};
}

Result<asio::generic::stream_protocol::socket> connect(asio::io_context& io, const Target& target) {
  boost::system::error_code error;
  asio::generic::stream_protocol::socket socket(io);
  if (target.address.empty()) {
    if (target.socket.size() >= 108)
      return fail(Code::invalid, "--socket: longer than a Unix socket's 107 bytes");
    socket.connect(asio::local::stream_protocol::endpoint(target.socket), error);
    if (error) return fail(refused(target.socket, error));
    return socket;
  }
  const std::size_t colon = target.address.rfind(':');
  if (colon == std::string::npos) return fail(Code::invalid, "--address: write HOST:PORT");
  asio::ip::tcp::resolver resolver(io);
  const auto endpoints =
      resolver.resolve(target.address.substr(0, colon), target.address.substr(colon + 1), error);
  if (error) return fail(refused(target.address, error));
  for (const auto& entry : endpoints) {
    boost::system::error_code ignored;
    socket.close(ignored);
    socket.connect(entry.endpoint(), error);
    if (!error) return socket;
  }
  return fail(refused(target.address, error));
}

template <class Body>
void set_common(http::request<Body>& request, const std::string& token) {
  request.set(http::field::host, "localhost");
  request.set(http::field::user_agent, "otagate/" OTAGATE_VERSION);
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  request.keep_alive(false);
}

Error went_away(const boost::system::error_code& error) {
  return {Code::transient, "the daemon went away in the middle of its answer: " + error.message()};
}

// What an answer of 4xx or 5xx says.
Error refusal(unsigned status, std::string_view body) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* code = object != nullptr ? object->if_contains("code") : nullptr;
  const auto* message = object != nullptr ? object->if_contains("message") : nullptr;
  if (code == nullptr || message == nullptr || !code->is_string() || !message->is_string())
    return {Code::internal, "the daemon answered " + std::to_string(status)};
  // A store that cannot be reached is no daemon that cannot be.
  const Code said = code_of(std::string_view(code->as_string()));
  return {said == Code::transient ? Code::busy : said, std::string(message->as_string())};
}

}  // namespace

std::string encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded.push_back(c);
    } else {
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

Result<std::string> Client::token() const {
  if (target_.token_file.empty()) return std::string();
  std::ifstream file(target_.token_file);
  std::string line;
  if (!file || !std::getline(file, line))
    return fail(Code::denied, "--token-file " + target_.token_file + ": cannot be read");
  return line;
}

Result<boost::json::value> Client::get(const std::string& path) const { return call("GET", path); }

Result<boost::json::value> Client::call(std::string_view method, const std::string& path,
                                        const std::string& body, std::string_view content_type) const {
  const auto answer = ask(method, path, body, content_type);
  if (!answer) return fail(answer.error());
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(*answer, error);
  if (error) return fail(Code::internal, "the daemon's answer is not JSON: " + error.message());
  return value;
}

Result<std::string> Client::get_text(const std::string& path) const { return ask("GET", path, "", ""); }

Result<std::string> Client::ask(std::string_view method, const std::string& path, const std::string& body,
                                std::string_view content_type) const {
  const auto secret = token();
  if (!secret) return fail(secret.error());
  asio::io_context io;
  auto socket = connect(io, target_);
  if (!socket) return fail(std::move(socket).error());
  http::request<http::string_body> request(http::string_to_verb({method.data(), method.size()}), path, 11);
  set_common(request, *secret);
  if (!body.empty()) request.set(http::field::content_type, {content_type.data(), content_type.size()});
  request.body() = body;
  request.prepare_payload();

  boost::system::error_code error;
  http::write(*socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMostBody);
  if (!error) http::read(*socket, buffer, parser, error);
  if (error) return fail(went_away(error));

  auto response = parser.release();
  if (response.result_int() < 400) return std::move(response.body());
  return fail(refusal(response.result_int(), response.body()));
}

Result<void> Client::put(const std::string& path, std::uint64_t size,
                         const std::function<Result<void>(std::span<char> into)>& read) const {
  const auto secret = token();
  if (!secret) return fail(secret.error());
  asio::io_context io;
  auto socket = connect(io, target_);
  if (!socket) return fail(std::move(socket).error());
  http::request<http::empty_body> head(http::verb::put, path, 11);
  set_common(head, *secret);
  head.content_length(size);
  boost::system::error_code error;
  http::request_serializer<http::empty_body> serializer(head);
  http::write_header(*socket, serializer, error);
  std::vector<char> piece(kPiece);
  for (std::uint64_t sent = 0; sent < size && !error;) {
    const auto next = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - sent));
    if (auto got = read(std::span(piece).first(next)); !got) return got;
    asio::write(*socket, asio::buffer(piece.data(), next), error);
    sent += next;
  }
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  // What the daemon says counts, also where it ended before all was sent.
  boost::system::error_code no_answer;
  http::read(*socket, buffer, response, no_answer);
  if (no_answer) return fail(went_away(error ? error : no_answer));
  if (response.result_int() >= 400) return fail(refusal(response.result_int(), response.body()));
  return {};
}

Result<void> Client::download(const std::string& path,
                              const std::function<Result<void>(std::span<const char> piece)>& take) const {
  const auto secret = token();
  if (!secret) return fail(secret.error());
  asio::io_context io;
  auto socket = connect(io, target_);
  if (!socket) return fail(std::move(socket).error());
  http::request<http::empty_body> request(http::verb::get, path, 11);
  set_common(request, *secret);
  boost::system::error_code error;
  http::write(*socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  if (!error) http::read_header(*socket, buffer, parser, error);
  if (error) return fail(went_away(error));
  const bool good = parser.get().result_int() < 400;
  std::string message;
  std::vector<char> piece(kPiece);
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    http::read(*socket, buffer, parser, error);
    if (error && error != http::error::need_buffer) return fail(went_away(error));
    const std::size_t got = piece.size() - parser.get().body().size;
    if (good) {
      if (auto taken = take(std::span(piece).first(got)); !taken) return taken;
    } else if (message.size() < kPiece) {
      message.append(piece.data(), got);
    }
  }
  if (!good) return fail(refusal(parser.get().result_int(), message));
  return {};
}

namespace {

// Reads a stream of events line by line, and ticks beside it.
class Follower {
 public:
  Follower(asio::io_context& io, asio::generic::stream_protocol::socket socket,
           const std::function<bool(std::string_view)>& take, const Tick& tick)
      : io_(io), socket_(std::move(socket)), take_(take), tick_(tick), timer_(io) {}

  Result<void> run(const std::string& request) {
    boost::system::error_code error;
    asio::write(socket_, asio::buffer(request), error);
    if (!error) {
      read();
      io_.run();
    }
    return outcome_;
  }

 private:
  void end(Result<void> outcome) {
    outcome_ = std::move(outcome);
    io_.stop();
  }

  void read() {
    asio::async_read_until(socket_, buffer_, '\n', [this](boost::system::error_code error, std::size_t) {
      if (error) return end(fail(Code::transient, "the daemon ended the stream"));
      std::istream in(&buffer_);
      std::string line;
      std::getline(in, line);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (head_) {
        if (line.starts_with("HTTP/") && line.find(" 200 ") == std::string::npos)
          return end(fail(Code::denied, "the daemon answered " + line));
        if (line.empty()) {
          head_ = false;
          tick();
        }
      } else if (line.starts_with("data: ") && !take_(std::string_view(line).substr(6))) {
        return end({});
      }
      if (!io_.stopped()) read();
    });
  }

  void tick() {
    if (!tick_.run) return;
    if (!tick_.run()) return end({});
    timer_.expires_after(tick_.every);
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) tick();
    });
  }

  asio::io_context& io_;
  asio::generic::stream_protocol::socket socket_;
  const std::function<bool(std::string_view)>& take_;
  const Tick& tick_;
  asio::steady_timer timer_;
  asio::streambuf buffer_{1 << 20};
  bool head_ = true;
  Result<void> outcome_ = fail(Code::transient, "the daemon ended the stream");
};

}  // namespace

Result<void> Client::follow(const std::string& path, const std::function<bool(std::string_view)>& take,
                            const Tick& tick) const {
  const auto secret = token();
  if (!secret) return fail(secret.error());
  asio::io_context io;
  auto socket = connect(io, target_);
  if (!socket) return fail(std::move(socket).error());
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
  if (!secret->empty()) request += "Authorization: Bearer " + *secret + "\r\n";
  request += "\r\n";
  return Follower(io, std::move(*socket), take, tick).run(request);
}

}  // namespace otagate::cli

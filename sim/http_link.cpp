// A device's HTTP client: one connection, kept open unless it is told otherwise.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <utility>

#include "fetch.hpp"
#include "link.hpp"
#include "link_owner.hpp"

namespace otagate::sim {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;

constexpr int kMaxRedirects = 3;
constexpr std::uint64_t kBodyLimit = 16 << 20;  // an answer of 200 with the whole image is let pass

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Everything that an answer may need stays alive with it: the link may be gone first.
class HttpLink final : public Link, public std::enable_shared_from_this<HttpLink> {
 public:
  HttpLink(asio::io_context& io, const LinkSettings& settings, Traffic& traffic, Address gateway)
      : io_(io), settings_(settings), traffic_(traffic), gateway_(std::move(gateway)) {}

  void ask(const Ask& ask, Done done) override {
    done_ = std::move(done);
    ask_ = ask;
    redirects_ = 0;
    go_to(ask_.target);
  }

  void close() override {
    ++turn_;
    done_ = nullptr;
    drop();
  }

 private:
  struct Connection {
    explicit Connection(asio::io_context& io) : stream(io) {}
    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    Address peer;
    bool used = false;  // has carried an answer
    http::request<http::string_body> request;
    std::optional<http::response_parser<http::string_body>> parser;
  };

  void go_to(std::string target) {
    auto peer = gateway_;
    if (!target.starts_with('/')) {
      auto url = parse_url(target);
      if (!url || url->scheme != "http") return finish(std::nullopt, "cannot fetch " + target);
      peer = url->address;
      target = url->target;
    }
    own_ = peer.host == gateway_.host && peer.port == gateway_.port;
    make_request(peer, target);
    if (connection_ && (connection_->peer.host != peer.host || connection_->peer.port != peer.port)) drop();
    if (connection_) return send();
    connect(peer);
  }

  void make_request(const Address& peer, const std::string& target) {
    static constexpr http::verb kVerbs[] = {http::verb::get, http::verb::put, http::verb::post};
    request_ = {};
    request_.method(kVerbs[static_cast<std::size_t>(ask_.method)]);
    request_.target(target);
    request_.set(http::field::host, peer.host.find(':') == std::string::npos
                                        ? peer.host + ':' + peer.port
                                        : '[' + peer.host + "]:" + peer.port);
    request_.set(http::field::user_agent, "otagate-sim");
    if (!ask_.accept.empty()) request_.set(http::field::accept, ask_.accept);
    // A credential goes to the gateway only, whatever a link says.
    if (!ask_.authorization.empty() && own_) request_.set(http::field::authorization, ask_.authorization);
    if (!ask_.content_type.empty()) request_.set(http::field::content_type, ask_.content_type);
    if (ask_.range) {
      request_.set(http::field::range, "bytes=" + std::to_string(ask_.range->offset) + '-' +
                                           std::to_string(ask_.range->offset + ask_.range->length - 1));
    }
    request_.keep_alive(settings_.keep_alive);
    request_.body() = ask_.body;
    if (ask_.method != Method::get) request_.prepare_payload();
  }

  void connect(const Address& peer) {
    boost::system::error_code failed;
    const auto address = asio::ip::make_address(peer.host, failed);
    const auto port = to_number(peer.port);
    if (failed || !port || *port > 65535) {
      return finish(std::nullopt, "not a numeric address: " + peer.host + ':' + peer.port);
    }
    connection_ = std::make_shared<Connection>(io_);
    connection_->peer = peer;
    connection_->stream.expires_after(ask_.patience);
    ++traffic_.connections;
    connection_->stream.async_connect(Tcp::endpoint(address, static_cast<std::uint16_t>(*port)),
                                      [self = shared_from_this(), turn = turn_](auto error) {
                                        if (turn != self->turn_) return;
                                        if (error) return self->broken(error.message());
                                        self->connection_->stream.socket().set_option(Tcp::no_delay(true));
                                        self->send();
                                      });
  }

  void send() {
    ++traffic_.requests;
    connection_->stream.expires_after(ask_.patience);
    connection_->request = request_;
    connection_->parser.reset();
    // The connection stays alive until the operation is over, also when it is dropped meanwhile.
    http::async_write(connection_->stream, connection_->request,
                      [self = shared_from_this(), turn = turn_, keep = connection_](auto error, std::size_t) {
                        if (turn != self->turn_) return;
                        if (error) return self->broken(error.message());
                        self->receive();
                      });
  }

  void receive() {
    connection_->parser.emplace();
    connection_->parser->body_limit(kBodyLimit);
    http::async_read(
        connection_->stream, connection_->buffer, *connection_->parser,
        [self = shared_from_this(), turn = turn_, keep = connection_](auto error, std::size_t size) {
          if (turn != self->turn_) return;
          self->traffic_.bytes_in += size;
          if (error) return self->broken(error.message());
          self->received();
        });
  }

  void received() {
    const auto answer = connection_->parser->release();
    connection_->used = true;
    if (answer.keep_alive() && settings_.keep_alive) {
      connection_->stream.expires_never();
    } else {
      drop();
    }
    if (answer.result_int() == 307 || answer.result_int() == 302) {
      const std::string location(view(answer[http::field::location]));
      if (location.empty() || ++redirects_ > kMaxRedirects) return finish(std::nullopt, "too many redirects");
      return go_to(location);
    }
    Reply reply;
    reply.status = static_cast<int>(answer.result_int());
    reply.content_type = view(answer[http::field::content_type]);
    reply.retry_after = Milliseconds(
        std::min<std::uint64_t>(to_number(view(answer[http::field::retry_after])).value_or(0), 86'400) *
        1000);
    const auto range = view(answer[http::field::content_range]);
    if (const auto slash = range.rfind('/'); slash != std::string_view::npos) {
      reply.total = to_number(range.substr(slash + 1));
      const auto begin = "bytes " + std::to_string(ask_.range ? ask_.range->offset : 0) + '-';
      if (reply.status == 206 && !range.starts_with(begin)) {
        return finish(std::nullopt, "another range than the one asked for");
      }
    }
    reply.body = answer.body();
    finish(std::move(reply), {});
  }

  void broken(const std::string& why) {
    // A server may close a connection that was idle: the next request is for a new one.
    const bool stale =
        connection_ && connection_->used && !(connection_->parser && connection_->parser->got_some());
    drop();
    if (stale) return go_to(ask_.target);
    finish(std::nullopt, why);
  }

  void drop() {
    if (!connection_) return;
    connection_->stream.close();
    connection_.reset();
  }

  // Later, so that a device never finds itself asking from within its own question.
  void finish(std::optional<Reply> reply, std::string why) {
    ++turn_;
    asio::post(io_,
               [self = shared_from_this(), turn = turn_, why = std::move(why), reply = std::move(reply)] {
                 if (turn != self->turn_) return;
                 if (const auto done = std::exchange(self->done_, nullptr))
                   done(reply ? &*reply : nullptr, why);
               });
  }

  asio::io_context& io_;
  const LinkSettings& settings_;
  Traffic& traffic_;
  Address gateway_;
  Done done_;
  Ask ask_;
  int redirects_ = 0;
  bool own_ = true;
  std::uint64_t turn_ = 0;  // an operation of an earlier one has nothing to say
  std::shared_ptr<Connection> connection_;
  http::request<http::string_body> request_;
};

}  // namespace

std::unique_ptr<Link> make_http_link(asio::io_context& io, const LinkSettings& settings, Traffic& traffic,
                                     Address gateway) {
  return std::make_unique<LinkOwner>(std::make_shared<HttpLink>(io, settings, traffic, std::move(gateway)));
}

}  // namespace otagate::sim

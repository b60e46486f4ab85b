#include "api/session.hpp"

#include <openssl/crypto.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/parse.hpp>
#include <charconv>
#include <deque>
#include <optional>

#include "api/loop.hpp"
#include "api/metrics.hpp"
#include "api/views.hpp"

namespace otagate::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::uint32_t kMaxHeader = 16 << 10;
constexpr std::chrono::seconds kIdle{60};
constexpr std::chrono::seconds kKeepAlive{15};  // a comment on the event stream
constexpr std::size_t kMaxBacklog = 4096;       // events a slow follower may be behind
constexpr std::string_view kStream = "/api/v1/events/stream";

using Protocol = asio::generic::stream_protocol;

bool same_text(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// A server-sent event (HTML, 9.2).
std::string sse(const state::Event& event) {
  return "id: " + std::to_string(event.sequence) +
         "\nevent: event\ndata: " + boost::json::serialize(to_json(event)) + "\n\n";
}

class SessionImpl final : public Session {
 public:
  SessionImpl(int socket, int family, SessionKind kind, SessionContext context)
      : context_(std::move(context)),
        kind_(kind),
        socket_(context_.loop->io(), Protocol(family, 0), socket),
        timer_(context_.loop->io()) {}

  void run() override { read(); }

  void close() override {
    if (closed_) return;
    closed_ = true;
    if (follower_ != 0) context_.backend.unfollow(follower_);
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    socket_.close(ignored);
    timer_.cancel();
    context_.loop->post([self = shared(), ended = context_.ended] { ended(self); });
  }

 private:
  std::shared_ptr<SessionImpl> shared() { return std::static_pointer_cast<SessionImpl>(shared_from_this()); }

  void arm(std::chrono::seconds after) {
    timer_.expires_after(after);
    timer_.async_wait([self = shared()](boost::system::error_code error) {
      if (!error) self->close();
    });
  }

  void read() {
    parser_.emplace();
    // The head first: it decides how large the body may be.
    parser_->body_limit(kMaxLargeBody);
    parser_->header_limit(kMaxHeader);
    arm(kIdle);
    http::async_read_header(socket_, buffer_, *parser_,
                            [self = shared()](boost::system::error_code error, std::size_t) {
                              if (self->closed_) return;
                              if (error)
                                self->refuse(error);
                              else
                                self->read_body();
                            });
  }

  void read_body() {
    // A large body is taken of nobody who has not shown the token.
    const auto& request = parser_->get();
    const std::string_view method(request.method_string().data(), request.method_string().size());
    const std::string_view target(request.target().data(), request.target().size());
    const std::uint64_t limit =
        kind_ != SessionKind::metrics && allowed() ? context_.router.max_body(method, target) : kMaxBody;
    if (parser_->content_length().value_or(0) > limit) {
      refuse(http::error::body_limit);
      return;
    }
    parser_->body_limit(limit);
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared()](boost::system::error_code error, std::size_t) {
                       self->timer_.cancel();
                       if (self->closed_) return;
                       if (error)
                         self->refuse(error);
                       else
                         self->handle();
                     });
  }

  // What could not be read gets an answer where it was HTTP at all, and the connection ends.
  void refuse(boost::system::error_code error) {
    timer_.cancel();
    keep_ = false;
    if (error == http::error::body_limit || error == http::error::header_limit) {
      Response response =
          error_response(Error(Code::invalid,
                               "the request is too large: 64 KiB is the limit, 4 MiB for devices and "
                               "deployments; send them in several requests"));
      response.status = error == http::error::body_limit ? 413 : 431;
      send(std::move(response));
    } else if (error.category() == beast::http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      send(error_response(Error(Code::invalid, "not an HTTP request: " + error.message())));
    } else {
      close();
    }
  }

  // By the token, where one is asked for.
  bool allowed() const {
    if (kind_ != SessionKind::admin_tcp) return true;
    const auto field = parser_->get()[http::field::authorization];
    const std::string_view given(field.data(), field.size());
    return given.starts_with("Bearer ") && same_text(given.substr(7), context_.token);
  }

  void handle() {
    const auto& request = parser_->get();
    keep_ = request.keep_alive();
    head_ = request.method() == http::verb::head;
    const std::string_view target(request.target().data(), request.target().size());
    if (kind_ == SessionKind::metrics) {
      serve_metrics(target);
      return;
    }
    if (!allowed()) {
      Response response =
          error_response(Error(Code::denied, "present the admin token: Authorization: Bearer ..."));
      response.status = 401;
      send(std::move(response));
      return;
    }
    if (target.substr(0, target.find('?')) == kStream && request.method() == http::verb::get) {
      start_stream(target);
      return;
    }
    Request asked;
    asked.method = std::string(request.method_string());
    asked.content_type =
        media_type({request[http::field::content_type].data(), request[http::field::content_type].size()});
    asked.accept = std::string(request[http::field::accept]);
    asked.body = std::move(parser_->get().body());
    context_.router.route(std::move(asked), target, [self = shared()](Response response) {
      self->context_.loop->post([self, response = std::move(response)]() mutable {
        if (!self->closed_) self->send(std::move(response));
      });
    });
  }

  void serve_metrics(std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/metrics") {
      send({200, "text/plain; version=0.0.4; charset=utf-8",
            render_metrics(context_.backend, context_.loop->counters()), 0});
    } else if (path == "/healthz") {
      send({200, "text/plain; charset=utf-8", "ok\n", 0});
    } else if (path == "/readyz") {
      const StatusView status = context_.backend.status();
      std::string body = status.ok ? "ok\n" : "degraded\n";
      for (const std::string& problem : status.problems) body += problem + "\n";
      send({status.ok ? 200u : 503u, "text/plain; charset=utf-8", std::move(body), 0});
    } else {
      send(error_response(Error(Code::not_found, "here are /metrics, /healthz and /readyz")));
    }
  }

  void send(Response response) {
    if (kind_ != SessionKind::metrics)
      ++context_.loop->counters().answers[std::min<std::size_t>(response.status / 100, 5)];
    answer_.emplace();
    answer_->version(11);
    answer_->result(response.status);
    answer_->set(http::field::content_type, response.content_type);
    answer_->set(http::field::cache_control, "no-store");
    answer_->set("X-Content-Type-Options", "nosniff");
    if (response.status == 401) answer_->set(http::field::www_authenticate, "Bearer");
    if (response.retry_after_s != 0)
      answer_->set(http::field::retry_after, std::to_string(response.retry_after_s));
    answer_->keep_alive(keep_);
    const std::size_t length = response.body.size();
    if (!head_) answer_->body() = std::move(response.body);
    answer_->content_length(length);
    arm(kIdle);
    serializer_.emplace(*answer_);
    if (head_) serializer_->split(true);
    const auto done = [self = shared()](boost::system::error_code error, std::size_t) {
      self->timer_.cancel();
      if (self->closed_) return;
      if (error || !self->keep_)
        self->close();
      else
        self->read();
    };
    if (head_)
      http::async_write_header(socket_, *serializer_, done);
    else
      http::async_write(socket_, *serializer_, done);
  }

  // ---- server-sent events

  void start_stream(std::string_view target) {
    // Where to go on: the header of a reconnecting EventSource, else ?after=, else from now.
    std::int64_t after = -1;
    const auto& request = parser_->get();
    std::string text(request["Last-Event-ID"].data(), request["Last-Event-ID"].size());
    if (const auto url = boost::urls::parse_origin_form(target); url && text.empty()) {
      for (const auto parameter : url->params()) {
        if (parameter.key == "after") text = parameter.value;
      }
    }
    if (!text.empty()) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
      if (error != std::errc() || end != text.data() + text.size() || after < 0) {
        send(error_response(Error(Code::invalid, "after: write the sequence of the last event seen")));
        return;
      }
    }
    streamed_ = after;
    pending_.push_back(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n");
    // First follow, then read what was before: what comes in between is in both and dropped by sequence.
    std::weak_ptr<SessionImpl> weak = shared();
    follower_ = context_.backend.follow([weak, loop = context_.loop](const state::Event& event) {
      loop->post([weak, event] {
        if (const auto self = weak.lock()) self->on_event(event);
      });
    });
    watch_for_end();
    if (after < 0) {
      caught_up_ = true;
      flush();
      tick();
      return;
    }
    catch_up();
    flush();
    tick();
  }

  // Reads the events that the follower missed, a page at a time.
  void catch_up() {
    state::EventQuery query;
    query.after = streamed_;
    query.limit = state::kEventPage;
    context_.backend.events(query, [self = shared()](Result<std::vector<state::Event>> events) {
      self->context_.loop->post([self, events = std::move(events)] {
        if (self->closed_) return;
        if (!events) {
          self->close();
          return;
        }
        for (const state::Event& event : *events) self->queue(event);
        if (events->size() == state::kEventPage && self->pending_.size() < kMaxBacklog) {
          self->catch_up();
        } else {
          self->caught_up_ = true;
          for (const state::Event& event : self->early_) self->queue(event);
          self->early_.clear();
        }
        self->flush();
      });
    });
  }

  void on_event(const state::Event& event) {
    if (closed_) return;
    if (!caught_up_) {
      early_.push_back(event);
      if (early_.size() > kMaxBacklog) close();
      return;
    }
    queue(event);
    flush();
  }

  void queue(const state::Event& event) {
    if (event.sequence <= streamed_) return;
    streamed_ = event.sequence;
    pending_.push_back(sse(event));
    // Whoever is so far behind connects again and goes on after what it has.
    if (pending_.size() > kMaxBacklog + state::kEventPage) close();
  }

  void tick() {
    timer_.expires_after(kKeepAlive);
    timer_.async_wait([self = shared()](boost::system::error_code error) {
      if (error || self->closed_) return;
      if (self->pending_.empty()) self->pending_.emplace_back(":\n\n");
      self->flush();
      self->tick();
    });
  }

  void flush() {
    if (writing_ || pending_.empty() || closed_) return;
    writing_ = true;
    asio::async_write(socket_, asio::buffer(pending_.front()),
                      [self = shared()](boost::system::error_code error, std::size_t) {
                        self->writing_ = false;
                        if (self->closed_) return;
                        if (error) {
                          self->close();
                          return;
                        }
                        self->pending_.pop_front();
                        self->flush();
                      });
  }

  // A follower sends nothing more: any read is its end.
  void watch_for_end() {
    socket_.async_wait(asio::socket_base::wait_read, [self = shared()](boost::system::error_code) {
      if (!self->closed_) self->close();
    });
  }

  SessionContext context_;
  const SessionKind kind_;
  Protocol::socket socket_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_{kMaxBody + kMaxHeader};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> answer_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool keep_ = false;
  bool head_ = false;
  bool closed_ = false;

  std::uint64_t follower_ = 0;
  std::int64_t streamed_ = -1;  // sequence of the last event queued
  bool caught_up_ = false;
  bool writing_ = false;
  std::deque<std::string> pending_;
  std::deque<state::Event> early_;
};

}  // namespace

std::shared_ptr<Session> Session::make(int socket, int family, SessionKind kind, SessionContext context) {
  return std::make_shared<SessionImpl>(socket, family, kind, std::move(context));
}

}  // namespace otagate::api

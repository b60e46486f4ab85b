#include "api/session.hpp"

#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
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
#include <vector>

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
constexpr std::size_t kPiece = 64 << 10;        // of bodies that go through
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
    if (upload_) upload_->to.close(ignored);  // the rest of it stays until what is pending has ended
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
    // The head first: it decides how large the body may be, and who takes it.
    head_parser_.emplace();
    head_parser_->body_limit(boost::none);
    head_parser_->header_limit(kMaxHeader);
    arm(kIdle);
    http::async_read_header(socket_, buffer_, *head_parser_,
                            [self = shared()](boost::system::error_code error, std::size_t) {
                              if (self->closed_) return;
                              if (error)
                                self->refuse(error);
                              else
                                self->take_head();
                            });
  }

  void take_head() {
    request_ = head_parser_->get().base();
    keep_ = head_parser_->get().keep_alive();
    // A large body is taken of nobody who has not shown the token.
    const bool trusted = kind_ != SessionKind::metrics && allowed();
    if (trusted && context_.router.is_upload(method(), target())) {
      take_upload();
      return;
    }
    const std::uint64_t limit = trusted ? context_.router.max_body(method(), target()) : kMaxBody;
    if (head_parser_->content_length().value_or(0) > limit) {
      refuse(http::error::body_limit);
      return;
    }
    parser_.emplace(std::move(*head_parser_));
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

  // ---- a body that is passed on as it comes

  void take_upload() {
    head_ = false;
    const auto size = head_parser_->content_length();
    if (!size) {
      keep_ = false;
      Response response = error_response(Error(Code::invalid, "say how many bytes come, by Content-Length"));
      response.status = 411;
      send(std::move(response));
      return;
    }
    upload_.emplace(std::move(*head_parser_), context_.loop->io());
    upload_->parser.body_limit(boost::none);
    UniqueFd to = context_.router.upload(asked(), target(), *size, [self = shared()](Response response) {
      self->context_.loop->post([self, response = std::move(response)]() mutable {
        if (self->closed_ || !self->upload_) return;
        self->upload_->answer = std::move(response);
        self->end_upload();
      });
    });
    if (to) upload_->to.assign(Protocol(AF_UNIX, 0), to.release());
    if (beast::iequals(request_[http::field::expect], "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(socket_, asio::buffer(kContinue),
                        [self = shared()](boost::system::error_code error, std::size_t) {
                          if (self->closed_) return;
                          if (error)
                            self->close();
                          else
                            self->read_piece();
                        });
      return;
    }
    read_piece();
  }

  void read_piece() {
    if (upload_->parser.is_done()) {
      timer_.cancel();
      boost::system::error_code ignored;
      upload_->to.close(ignored);
      upload_->through = true;
      end_upload();
      return;
    }
    arm(kIdle);
    auto& body = upload_->parser.get().body();
    body.data = upload_->piece.data();
    body.size = upload_->piece.size();
    body.more = true;
    http::async_read_some(socket_, buffer_, upload_->parser,
                          [self = shared()](boost::system::error_code error, std::size_t) {
                            self->timer_.cancel();
                            if (self->closed_) return;
                            if (error && error != http::error::need_buffer)
                              self->close();
                            else
                              self->pass_on();
                          });
  }

  void pass_on() {
    const std::size_t got = upload_->piece.size() - upload_->parser.get().body().size;
    // What nobody wants is read all the same: the answer comes after it.
    if (got == 0 || !upload_->to.is_open()) {
      read_piece();
      return;
    }
    asio::async_write(upload_->to, asio::buffer(upload_->piece.data(), got),
                      [self = shared()](boost::system::error_code error, std::size_t) {
                        if (self->closed_) return;
                        boost::system::error_code ignored;
                        if (error) self->upload_->to.close(ignored);
                        self->read_piece();
                      });
  }

  void end_upload() {
    if (!upload_->through || !upload_->answer) return;
    Response response = std::move(*upload_->answer);
    upload_.reset();
    send(std::move(response));
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

  std::string_view method() const {
    return {request_.method_string().data(), request_.method_string().size()};
  }
  std::string_view target() const { return {request_.target().data(), request_.target().size()}; }

  // By the token, where one is asked for.
  bool allowed() const {
    if (kind_ != SessionKind::admin_tcp) return true;
    const auto field = request_[http::field::authorization];
    const std::string_view given(field.data(), field.size());
    return given.starts_with("Bearer ") && same_text(given.substr(7), context_.token);
  }

  // The request without its body.
  Request asked() const {
    Request asked;
    asked.method = std::string(request_.method_string());
    const auto type = request_[http::field::content_type];
    asked.content_type = media_type({type.data(), type.size()});
    asked.accept = std::string(request_[http::field::accept]);
    return asked;
  }

  void handle() {
    head_ = request_.method() == http::verb::head;
    if (kind_ == SessionKind::metrics) {
      serve_metrics(target());
      return;
    }
    if (!allowed()) {
      Response response =
          error_response(Error(Code::denied, "present the admin token: Authorization: Bearer ..."));
      response.status = 401;
      send(std::move(response));
      return;
    }
    if (target().substr(0, target().find('?')) == kStream && request_.method() == http::verb::get) {
      start_stream(target());
      return;
    }
    Request request = asked();
    request.body = std::move(parser_->get().body());
    context_.router.route(std::move(request), target(), [self = shared()](Response response) {
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
    const std::uint64_t length = response.file ? response.file->size : response.body.size();
    file_ = head_ ? std::nullopt : std::move(response.file);
    if (!head_) answer_->body() = std::move(response.body);
    answer_->content_length(length);
    arm(kIdle);
    serializer_.emplace(*answer_);
    const bool only_head = head_ || file_;
    if (only_head) serializer_->split(true);
    const auto done = [self = shared()](boost::system::error_code error, std::size_t) {
      self->timer_.cancel();
      if (self->closed_) return;
      if (self->file_ && !error)
        self->send_piece(0);
      else if (error || !self->keep_)
        self->close();
      else
        self->read();
    };
    if (only_head)
      http::async_write_header(socket_, *serializer_, done);
    else
      http::async_write(socket_, *serializer_, done);
  }

  // The bytes of file_ from `offset` on; short of them the connection ends, which is how a peer knows.
  void send_piece(std::uint64_t offset) {
    if (offset == file_->size) {
      file_.reset();
      if (keep_)
        read();
      else
        close();
      return;
    }
    piece_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file_->size - offset)));
    const ssize_t got = ::pread(file_->fd, piece_.data(), piece_.size(), static_cast<off_t>(offset));
    if (got <= 0) {
      close();
      return;
    }
    arm(kIdle);
    asio::async_write(socket_, asio::buffer(piece_.data(), static_cast<std::size_t>(got)),
                      [self = shared(), next = offset + static_cast<std::uint64_t>(got)](
                          boost::system::error_code error, std::size_t) {
                        self->timer_.cancel();
                        if (self->closed_) return;
                        if (error)
                          self->close();
                        else
                          self->send_piece(next);
                      });
  }

  // ---- server-sent events

  void start_stream(std::string_view target) {
    // Where to go on: the header of a reconnecting EventSource, else ?after=, else from now.
    std::int64_t after = -1;
    std::string text(request_["Last-Event-ID"].data(), request_["Last-Event-ID"].size());
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

  // An upload in progress.
  struct Incoming {
    Incoming(http::request_parser<http::empty_body>&& head, asio::io_context& io)
        : parser(std::move(head)), to(io), piece(kPiece) {}
    http::request_parser<http::buffer_body> parser;
    Protocol::socket to;  // closed: nobody wants the bytes
    std::vector<char> piece;
    bool through = false;
    std::optional<Response> answer{};
  };

  SessionContext context_;
  const SessionKind kind_;
  Protocol::socket socket_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_{kMaxBody + kMaxHeader};
  std::optional<http::request_parser<http::empty_body>> head_parser_;
  http::request_header<> request_;  // of the request that is being dealt with
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<Incoming> upload_;
  std::optional<FileBody> file_;  // what of an answer is not sent yet
  std::vector<char> piece_;       // of it
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

// A device's CoAP client: confirmable requests with RFC 7252's retransmission, Block2 one block at a time,
// Echo (RFC 9175). It loses and repeats datagrams as it is told to.
#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <utility>

#include "coap.hpp"
#include "link.hpp"
#include "link_owner.hpp"

namespace otagate::sim {
namespace {

namespace asio = boost::asio;
using Udp = asio::ip::udp;

// RFC 7252 section 4.8.
constexpr int kMaxRetransmit = 4;
constexpr double kRandomFactor = 1.5;
// Of what is put together without the device's doing: a catalog, an offer.
constexpr std::size_t kMaxWhole = 1 << 20;
constexpr std::size_t kMaxDatagram = 2048;
constexpr std::uint64_t kDefaultMaxAge = 60;

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ec == std::errc()) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void add_parts(coap::Message& message, std::uint16_t option, std::string_view text, char separator) {
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    message.add(option, percent_decoded(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::optional<std::uint16_t> format_of(std::string_view media_type) {
  if (media_type == "application/cbor") return coap::kCbor;
  if (media_type.ends_with("json")) return coap::kJson;
  return std::nullopt;
}

class CoapLink final : public Link, public std::enable_shared_from_this<CoapLink> {
 public:
  CoapLink(asio::io_context& io, const LinkSettings& settings, Traffic& traffic, Address gateway,
           std::uint64_t seed)
      : io_(io),
        settings_(settings),
        traffic_(traffic),
        gateway_(std::move(gateway)),
        chance_(seed, 2),
        socket_(io),
        timer_(io),
        patience_(io) {
    id_ = static_cast<std::uint16_t>(chance_.next());
  }

  void ask(const Ask& ask, Done done) override {
    done_ = std::move(done);
    ask_ = ask;
    whole_.clear();
    number_ = 0;
    echo_.clear();
    szx_ = 6;
    std::string target = ask_.target;
    if (!target.starts_with('/')) {
      const auto url = parse_url(target);
      if (!url || url->scheme != "coap" || url->address.port != gateway_.port) {
        return finish(std::nullopt, "cannot fetch " + target);
      }
      target = url->target;
    }
    if (!open()) return finish(std::nullopt, "no socket");
    const auto query = std::min(target.find('?'), target.size());
    request_ = {};
    request_.code = coap::code(0, ask_.method == Method::get ? 1 : ask_.method == Method::post ? 2 : 3);
    add_parts(request_, coap::option::kUriPath, std::string_view(target).substr(1, query - 1), '/');
    add_parts(request_, coap::option::kUriQuery,
              std::string_view(target).substr(std::min(query + 1, target.size())), '&');
    if (const auto format = format_of(ask_.content_type)) {
      request_.add_number(coap::option::kContentFormat, *format);
    }
    if (const auto format = format_of(ask_.accept)) request_.add_number(coap::option::kAccept, *format);
    if (!ask_.authorization.empty()) {
      request_.add(coap::option::kDrogueAuthorization, ask_.authorization);
    }
    if (ask_.range) {
      // The largest block that is asked for and begins here.
      while (szx_ > 0 && ((16U << szx_) > ask_.range->length || ask_.range->offset % (16U << szx_) != 0)) {
        --szx_;
      }
      number_ = static_cast<std::uint32_t>(ask_.range->offset / (16U << szx_));
    }
    patience_.expires_after(ask_.patience);
    patience_.async_wait([self = shared_from_this(), turn = turn_](auto error) {
      if (!error && turn == self->turn_) self->finish(std::nullopt, "no answer");
    });
    send_request();
  }

  void close() override {
    ++turn_;
    done_ = nullptr;
    timer_.cancel();
    patience_.cancel();
    boost::system::error_code ignored;
    if (socket_.is_open()) socket_.close(ignored);
  }

 private:
  bool open() {
    if (socket_.is_open()) return true;
    boost::system::error_code failed;
    const auto address = asio::ip::make_address(gateway_.host, failed);
    unsigned port = 0;
    std::from_chars(gateway_.port.data(), gateway_.port.data() + gateway_.port.size(), port);
    if (failed) return false;
    const Udp::endpoint peer(address, static_cast<std::uint16_t>(port));
    socket_.open(peer.protocol(), failed);
    if (!failed) socket_.connect(peer, failed);
    if (!failed) socket_.non_blocking(true, failed);
    if (failed) return false;
    ++traffic_.connections;
    listen();
    return true;
  }

  void listen() {
    socket_.async_wait(Udp::socket::wait_read, [self = shared_from_this()](auto error) {
      if (error || !self->socket_.is_open()) return;
      self->drain();
      if (self->socket_.is_open()) self->listen();
    });
  }

  void drain() {
    static thread_local std::array<char, kMaxDatagram> buffer;
    while (socket_.is_open()) {
      boost::system::error_code failed;
      const auto size = socket_.receive(asio::buffer(buffer), 0, failed);
      if (failed == asio::error::connection_refused) continue;  // as good as lost
      if (failed) return;
      if (chance_.happens(settings_.loss)) {
        ++traffic_.lost;
        continue;
      }
      traffic_.bytes_in += size;
      if (const auto message = coap::decode({buffer.data(), size})) received(*message);
    }
  }

  void send(const std::string& datagram) {
    const int copies = chance_.happens(settings_.duplicate) ? 2 : 1;
    if (copies == 2) ++traffic_.duplicated;
    for (int i = 0; i < copies; ++i) {
      if (chance_.happens(settings_.loss)) {
        ++traffic_.lost;
        continue;
      }
      boost::system::error_code ignored;  // a full queue loses it, which CoAP is made for
      socket_.send(asio::buffer(datagram), 0, ignored);
    }
  }

  // For the present block.
  void send_request() {
    auto message = request_;
    message.id = ++id_;
    const auto token = chance_.next();
    message.token.assign(reinterpret_cast<const char*>(&token), 4);
    if (ask_.range || number_ > 0) {
      message.add_number(coap::option::kBlock2, coap::to_number({number_, false, szx_}));
    }
    if (!echo_.empty()) message.add(coap::option::kEcho, echo_);
    if (number_ == 0 || ask_.range) message.payload = ask_.body;
    token_ = message.token;
    sent_id_ = message.id;
    acknowledged_ = false;
    datagram_ = coap::encode(message);
    tries_ = 0;
    wait_ = Milliseconds(static_cast<Milliseconds::rep>(static_cast<double>(settings_.ack_timeout.count()) *
                                                        (1 + (kRandomFactor - 1) * chance_.share())));
    ++traffic_.requests;
    transmit();
  }

  void transmit() {
    send(datagram_);
    timer_.expires_after(wait_);
    timer_.async_wait([self = shared_from_this(), turn = turn_, id = sent_id_](auto error) {
      if (error || turn != self->turn_ || id != self->sent_id_ || self->acknowledged_) return;
      if (++self->tries_ > kMaxRetransmit) return self->finish(std::nullopt, "no answer");
      ++self->traffic_.retransmissions;
      self->wait_ *= 2;
      self->transmit();
    });
  }

  void received(const coap::Message& message) {
    if (message.type == coap::Type::con) {
      // An answer by itself is acknowledged each time it comes; what was not asked for is refused.
      coap::Message reply;
      reply.type = done_ && message.token == token_ ? coap::Type::ack : coap::Type::rst;
      if (message.token == last_token_) reply.type = coap::Type::ack;
      reply.id = message.id;
      send(coap::encode(reply));
    }
    if (!done_) return;
    if (message.id == sent_id_ && message.type == coap::Type::rst) {
      return finish(std::nullopt, "the request was reset");
    }
    if (message.id == sent_id_ && message.type == coap::Type::ack && message.code == 0) {
      acknowledged_ = true;  // the answer comes by itself, within the ask's patience
      return;
    }
    if (message.token != token_ || message.code < coap::code(2, 0)) return;
    if (message.type == coap::Type::ack && message.id != sent_id_) return;
    last_token_ = token_;
    token_.clear();  // what comes twice is an answer once
    answered(message);
  }

  void answered(const coap::Message& message) {
    if (message.code == coap::code(4, 1) && echo_.empty()) {
      if (const auto* echo = message.find(coap::option::kEcho)) {
        echo_ = *echo;
        return send_request();
      }
    }
    Reply reply;
    reply.status = (message.code >> 5U) * 100 + (message.code & 31U);
    if (const auto format = message.find_number(coap::option::kContentFormat)) {
      reply.content_type = *format == coap::kCbor   ? "application/cbor"
                           : *format == coap::kJson ? "application/json"
                                                    : "application/octet-stream";
    }
    if (!reply.ok()) {
      const auto age = message.find_number(coap::option::kMaxAge).value_or(kDefaultMaxAge);
      if (reply.status == 503 || reply.status == 429)
        reply.retry_after = Milliseconds(std::min<std::uint64_t>(age, 86'400) * 1000);
    }
    const auto size = message.find_number(coap::option::kSize2);
    const auto number = message.find_number(coap::option::kBlock2);
    const auto block = number ? coap::to_block(*number) : std::nullopt;
    if (number && !block) return finish(std::nullopt, "a malformed Block2");
    if (!reply.ok() || !block) {
      reply.body = message.payload;
      return finish(std::move(reply), {});
    }
    const std::uint64_t offset = std::uint64_t{block->number} * block->size();
    const std::uint64_t expected = ask_.range ? ask_.range->offset : whole_.size();
    if (offset != expected) return finish(std::nullopt, "another block than the one asked for");
    if (block->more ? message.payload.size() != block->size() : message.payload.size() > block->size()) {
      return finish(std::nullopt, "a block of another length than it says");
    }
    if (ask_.range) {
      // Like an HTTP answer to a range.
      reply.status = 206;
      reply.total = size;
      if (!block->more) reply.total = offset + message.payload.size();
      reply.body = message.payload;
      return finish(std::move(reply), {});
    }
    whole_ += message.payload;
    if (block->more) {
      if (whole_.size() > kMaxWhole) return finish(std::nullopt, "an answer beyond 1 MiB");
      szx_ = block->szx;
      number_ = static_cast<std::uint32_t>(whole_.size() / block->size());
      return send_request();
    }
    reply.body = std::move(whole_);
    finish(std::move(reply), {});
  }

  void finish(std::optional<Reply> reply, std::string why) {
    ++turn_;
    timer_.cancel();
    patience_.cancel();
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
  Chance chance_;
  Udp::socket socket_;
  asio::steady_timer timer_;     // of the retransmission
  asio::steady_timer patience_;  // of the whole question
  std::uint64_t turn_ = 0;
  Done done_;
  Ask ask_;
  coap::Message request_;  // without what differs from block to block
  std::string datagram_;
  std::string token_;  // of the answer that is waited for
  std::string last_token_;
  std::uint16_t id_ = 0;
  std::uint16_t sent_id_ = 0;
  bool acknowledged_ = false;
  int tries_ = 0;
  Milliseconds wait_{0};
  unsigned szx_ = 6;
  std::uint32_t number_ = 0;
  std::string whole_;
  std::string echo_;
};

}  // namespace

std::unique_ptr<Link> make_coap_link(asio::io_context& io, const LinkSettings& settings, Traffic& traffic,
                                     Address gateway, std::uint64_t seed) {
  return std::make_unique<LinkOwner>(
      std::make_shared<CoapLink>(io, settings, traffic, std::move(gateway), seed));
}

}  // namespace otagate::sim

// What carries a device's questions: HTTP or CoAP. One link for each device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "device.hpp"

namespace boost::asio {
class io_context;
}

namespace otagate::sim {

class Link {
 public:
  virtual ~Link() = default;
  // One at a time. `done` is called once, later: with the reply, or with null and why there is none.
  using Done = std::function<void(const Reply*, std::string_view)>;
  virtual void ask(const Ask& ask, Done done) = 0;
  // The device is away: what is under way gets no answer.
  virtual void close() = 0;
};

struct Address {
  std::string host;
  std::string port;
};
struct Url {
  std::string scheme;
  Address address;
  std::string target;  // "/path?query"
};
// "http://host[:port]/...", "coap://..."; nothing for any other.
std::optional<Url> parse_url(std::string_view url);

// What the fleet's links did, together.
struct Traffic {
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t lost = 0;  // datagrams, on purpose
  std::uint64_t duplicated = 0;
  std::uint64_t bytes_in = 0;
};

struct LinkSettings {
  bool keep_alive = true;
  double loss = 0;       // of each datagram, either way
  double duplicate = 0;  // of each datagram that is sent
  Milliseconds ack_timeout{2'000};
};

// `io`, `settings` and `traffic` outlive the link; one thread. The address has been resolved: numeric.
std::unique_ptr<Link> make_http_link(boost::asio::io_context& io, const LinkSettings& settings,
                                     Traffic& traffic, Address gateway);
std::unique_ptr<Link> make_coap_link(boost::asio::io_context& io, const LinkSettings& settings,
                                     Traffic& traffic, Address gateway, std::uint64_t seed);

}  // namespace otagate::sim

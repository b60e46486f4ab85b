// The protocols by which devices ask for updates, apart from what carries them: a request and its body in,
// an answer out. The http and coap transports carry them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "otagate/cpp/transport_host.hpp"

namespace otagate::plugins::devices {

enum class Method : std::uint8_t { get, put, post, del };

// Lives for the call it is passed to.
struct Request {
  Method method = Method::get;
  std::vector<std::string> path;  // decoded segments, from the root
  std::vector<std::pair<std::string, std::string>> query;
  std::string_view content_type;  // media type in lower case, without parameters; empty: not said
  std::string_view accept;        // as sent; empty: anything
  std::string_view body;
  std::string_view peer;  // address as text
  std::string_view
      base_url;  // how the peer reaches this listener: "http://10.0.0.1:8080", no slash at the end
  // Who asks, by his credential; 0 and empty: anonymous.
  std::uint64_t principal = 0;
  std::string_view principal_device;  // bound to this device, or empty
  std::string_view principal_type;

  std::string_view parameter(std::string_view key) const;  // the first one; empty if there is none
};

// Statuses are HTTP's; CoAP maps them (200 -> 2.05 or 2.04, 4xx -> 4.xx, ...).
struct Response {
  int status = 200;
  std::string content_type;                                  // empty: no body
  std::vector<std::pair<std::string, std::string>> headers;  // HTTP only, but see `command`
  std::string body;
  std::string command;            // Drogue: CoAP option 4210, header `command`
  std::uint64_t retry_after = 0;  // seconds; Retry-After, Max-Age
};
using Respond = std::function<void(Response)>;

// What a protocol asks of its gateway. `done` is called exactly once, on the thread of the carrier, inline or
// later; never after the carrier has gone.
class Gateway {
 public:
  virtual ~Gateway() = default;
  virtual void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) = 0;
  virtual void progress(const sdk::Progress& report,
                        std::function<void(sdk::Outcome<std::uint32_t>)> done) = 0;
  // Bytes of a verified blob, fewer at its end.
  virtual void read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset,
                    std::uint32_t length, std::function<void(sdk::Outcome<std::string>)> done) = 0;
  // SHA-1 and MD5 in hex of a verified blob: once for each blob, on a thread of its own.
  struct OldDigests {
    std::string sha1;
    std::string md5;
  };
  virtual void old_digests(std::uint64_t principal, std::uint64_t firmware,
                           std::function<void(sdk::Outcome<OldDigests>)> done) = 0;
};

// One protocol. Stateless but for its settings: any carrier, any number of requests at once, one thread.
class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::string_view name() const = 0;
  // Whether the path is this protocol's; nothing else is asked of those that are not.
  virtual bool serves(const std::vector<std::string>& path) const = 0;
  // `respond` is called exactly once, inline or later.
  virtual void handle(const Request& request, Gateway& gateway, Respond respond) const = 0;
};

// ---- for protocols
// The answer to an outcome that is not OTAGATE_OK: the status that fits and {"error": "..."}.
Response refusal(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message);
Response json_response(int status, std::string body);

}  // namespace otagate::plugins::devices

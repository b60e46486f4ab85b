// The options of one HTTP listener, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "common/device_protocols/protocols.hpp"
#include "common/network/peer.hpp"
#include "otagate/cpp/host.hpp"

namespace otagate::http {

// Where to listen: an IPv4 or IPv6 address and a port, as written and as bind() takes it.
struct Endpoint {
  std::string text;
  sockaddr_storage address{};
  socklen_t address_size = 0;
};

// Times are milliseconds; 0 switches a limit off where the schema allows 0.
struct Options {
  std::vector<Endpoint> listen;
  bool anonymous = false;
  bool identify_by_address = false;  // whose download an anonymous one is, in trusted networks
  plugins::NetworkSet trusted = plugins::NetworkSet::local();
  bool prereleases = false;  // `latest` may be one without being asked to
  std::string public_url;    // "https://gw.example:8443", without a slash at the end; or empty
  std::string tls_cert;      // files; both empty: no TLS
  std::string tls_key;
  unsigned threads = 1;
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_source = 1024;
  std::uint32_t requests_per_second = 0;
  std::size_t header_limit = 16384;
  std::uint64_t body_limit = 65536;
  std::uint64_t header_timeout_ms = 10000;
  std::uint64_t idle_timeout_ms = 60000;
  std::uint64_t total_timeout_ms = 6 * 3600 * 1000;
  std::uint64_t bandwidth = 0;   // bytes of firmware a second to all peers; 0: no limit
  std::uint64_t min_rate = 128;  // bytes a second that a peer has to take
  std::uint64_t wait_timeout_ms = 10000;
  std::uint64_t stream_wait_ms = 20000;
  plugins::devices::Settings protocols;  // for devices; off where anonymous unless asked for

  // Throws sdk::Failure with a sentence for the operator.
  static Options from(const sdk::Host& host);
};

// JSON Schema of the options.
extern const char kOptionsSchema[];

}  // namespace otagate::http

// The options of one CoAP listener, checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "block.hpp"
#include "common/device_protocols/protocols.hpp"
#include "otagate/cpp/host.hpp"
#include "peer.hpp"

namespace otagate::coap {

struct Settings {
  enum class Echo : std::uint8_t {
    kChallenge,  // 4.01 with an Echo option
    kSmall,      // 2.05 with blocks small enough for the limit
  };

  ListenAddress listen;
  unsigned max_szx = kMaxSzx;
  std::map<std::string, unsigned, std::less<>> max_szx_of_type;
  bool prereleases = false;  // `latest` may be one
  bool stream = false;
  Echo echo = Echo::kChallenge;
  NetworkSet trusted = NetworkSet::local();
  bool identify_by_address = false;  // whose download it is, in trusted networks
  unsigned max_sessions = 2048;
  std::chrono::milliseconds session_timeout{90'000};
  std::uint32_t requests_per_second = 0;
  std::uint64_t bandwidth = 0;  // bytes of firmware a second to all peers; 0: no limit
  int receive_buffer = 4 << 20;
  std::chrono::milliseconds wait_timeout{10'000};
  plugins::devices::Settings protocols;  // for devices; off unless asked for, because everybody may ask

  // Throws sdk::Failure with a sentence for the operator.
  static Settings from(const sdk::Host& host);
};

// JSON Schema of the options.
extern const char* const kOptionsSchema;

}  // namespace otagate::coap

// Device protocols over CoAP: from a request to a protocol and back to an answer, without libcoap.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bodies.hpp"
#include "common/device_protocols/protocols.hpp"
#include "exchanges.hpp"
#include "gateway.hpp"

namespace otagate::coap {

// One request for the path of a protocol. Borrowed for the call, but for what is moved from it.
struct Asked {
  const Peer& peer;
  std::uint16_t mid = 0;
  std::span<const std::uint8_t> token{};
  plugins::devices::Method method = plugins::devices::Method::get;
  std::vector<std::string> path{};
  std::vector<std::pair<std::string, std::string>> query{};
  std::optional<std::uint32_t> format{};
  std::optional<std::uint32_t> accept{};
  std::span<const std::uint8_t> authorization{};
  std::optional<Block> block1{};
  std::optional<Block> block2{};
  std::span<const std::uint8_t> payload{};
  std::string base_url{};
  std::chrono::steady_clock::time_point now{};
};

// All on the listener's thread.
class Devices {
 public:
  using Clock = std::chrono::steady_clock;
  using Protocols = std::vector<std::unique_ptr<plugins::devices::Protocol>>;

  // The gateways outlive this object; `device_gateway` is closed before it goes.
  Devices(Protocols protocols, Gateway& gateway, plugins::devices::Gateway& device_gateway,
          const sdk::Host& host, std::uint64_t seed);

  const plugins::devices::Protocol* protocol_for(const std::vector<std::string>& path) const;

  // The request's exchange: one that is under way or answered already where the peer repeats himself. It may
  // get its answer before this returns, or later from inside the gateway's run_pending().
  ExchangePtr ask(Asked asked);
  // The answer takes more than one block.
  void keep(const Exchange& exchange) { exchanges_.keep(exchange); }

  // True once after an exchange that is `late` got its answer.
  bool take_news() { return std::exchange(news_, false); }
  // Answers everything that waits with 5.03.
  void refuse_waiting();

  void sweep(Clock::time_point now);
  bool busy() const { return !exchanges_.empty() || !bodies_.empty(); }
  void clear();

 private:
  static constexpr std::size_t kMaxPrincipals = 1024;
  static constexpr std::size_t kMaxWaiting = 2048;
  struct Known {
    std::uint64_t epoch = 0;
    sdk::Principal principal;
  };
  struct Work;  // a request that is complete, on its way to its protocol

  bool gather(const ExchangePtr& exchange, const Asked& asked, std::string& body);
  void sign_in(const std::shared_ptr<Work>& work, bool without_application);
  void hand_over(const std::shared_ptr<Work>& work, const sdk::Principal& principal);
  void forget_answered();
  void settle(const ExchangePtr& exchange, DeviceAnswer answer);
  void settle(const ExchangePtr& exchange, plugins::devices::Method method,
              plugins::devices::Response response);

  const Protocols protocols_;
  Gateway& gateway_;
  plugins::devices::Gateway& device_gateway_;
  const sdk::Host& host_;
  const std::uint64_t seed_;
  Exchanges exchanges_;
  Bodies bodies_;
  std::map<std::string, Known, std::less<>> principals_;  // by SHA-256 of the option's value
  std::vector<std::weak_ptr<Exchange>> waiting_;
  bool news_ = false;
};

}  // namespace otagate::coap

// The gateway as the protocols see it, over what the host offers a transport.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/device_protocols/old_digests.hpp"
#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

// Belongs to one carrier and its thread: made, used, closed and destroyed there. The host's replies come on
// other threads and are handed over with `post`.
class HostGateway final : public Gateway {
 public:
  // Runs the function on the carrier's thread, later: never inline. Called from any thread, under a mutex,
  // and never once close() has returned. What it still holds then may be run or dropped: it does nothing.
  using Post = std::function<void(std::function<void()>)>;

  // The host outlives the last of its replies, as an instance's host does. Without `digester` it has its own;
  // carriers with several threads share one, and stop it before the host goes.
  HostGateway(const sdk::TransportHost& host, Post post, std::shared_ptr<OldDigester> digester = {});
  ~HostGateway() override;  // close()
  HostGateway(const HostGateway&) = delete;
  HostGateway& operator=(const HostGateway&) = delete;

  // Closes every blob; no `done` is called from now on. Idempotent.
  void close();

  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override;
  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) override;
  void read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset, std::uint32_t length,
            std::function<void(sdk::Outcome<std::string>)> done) override;
  void old_digests(std::uint64_t principal, std::uint64_t firmware,
                   std::function<void(sdk::Outcome<OldDigests>)> done) override;

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace otagate::plugins::devices

// SHA-1 and MD5 of blobs, for protocols that are older than SHA-256: each blob is read once, on a thread of
// its own, and the last 256 results are kept.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

// Any thread. One may serve the gateways of several carriers.
class OldDigester {
 public:
  using Digests = Gateway::OldDigests;
  // On the digester's thread, or inline where the result is known. Never later than stop().
  using Done = std::function<void(sdk::Outcome<Digests>)>;

  OldDigester();
  ~OldDigester();  // stop()
  OldDigester(const OldDigester&) = delete;
  OldDigester& operator=(const OldDigester&) = delete;

  // `blob`: open, verified, and this call's own. Several calls for one blob cost one reading. OTAGATE_BUSY
  // where too many blobs wait already, OTAGATE_CANCELLED after stop(); both inline.
  void get(sdk::Reader blob, Done done);
  // Gives up what is under way, closes every blob, joins the thread. Calls that wait are dropped unanswered.
  void stop();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace otagate::plugins::devices

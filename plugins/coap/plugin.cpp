// CoAP listener: the catalog, firmware and blobs over UDP, block by block.
#include <chrono>
#include <memory>

#include "listener.hpp"
#include "otagate/cpp/transport.hpp"
#include "settings.hpp"

namespace otagate::coap {
namespace {

class CoapTransport final : public sdk::Transport {
 public:
  // Whether it does is the option `stream`; where that is off, blobs are opened verified_only.
  static constexpr bool kStreaming = true;

  explicit CoapTransport(sdk::TransportHost& host) : listener_(host, Settings::from(host)) {}

  void start() override { listener_.start(); }
  void stop(std::chrono::milliseconds deadline) override { listener_.stop(deadline); }
  void catalog_changed() override { listener_.catalog_changed(); }

 private:
  Listener listener_;
};

}  // namespace
}  // namespace otagate::coap

OTAGATE_PLUGIN(otagate::coap::CoapTransport, .id = "coap", .version = "0.1.0",
               .summary = "Serves firmware over CoAP (RFC 7252, 7959, 7641, 9175)",
               .options_schema = otagate::coap::kOptionsSchema)

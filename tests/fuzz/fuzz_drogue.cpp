// links: otagate_device_protocols otagate_cbor
// A Drogue status from a device. Whatever is accepted means the same in every spelling, and the answer to it
// is a command in the spelling that it came in.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "common/cbor/decoder.hpp"
#include "common/cbor/utf8.hpp"
#include "common/device_protocols/drogue/drogue.hpp"
#include "common/device_protocols/drogue/message.hpp"

namespace {

using namespace otagate::plugins::devices;
namespace sdk = otagate::sdk;

void require(bool holds) {
  if (!holds) std::abort();
}

// Has an update of 3,000 bytes for everybody.
class OneOffer final : public Gateway {
 public:
  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override {
    for (const auto& [component, version] : who.versions)
      require(otagate::plugins::cbor::is_utf8(version) && version.find('\0') == std::string::npos);
    sdk::Outcome<sdk::Offer> out;
    out.value.attempt = 1;
    sdk::OfferPart part;
    part.version = "2.0.0";
    part.size = 3000;
    out.value.parts.push_back(std::move(part));
    done(std::move(out));
  }
  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) override {
    require(report.device == "dev");
    done({});
  }
  void read(std::uint64_t, std::uint64_t, std::uint64_t offset, std::uint32_t length,
            std::function<void(sdk::Outcome<std::string>)> done) override {
    require(offset < 3000 && length >= 1 && length <= 1024 && offset + length <= 3000);
    sdk::Outcome<std::string> out;
    out.value.assign(length, 'x');
    done(std::move(out));
  }
  void old_digests(std::uint64_t, std::uint64_t, std::function<void(sdk::Outcome<OldDigests>)>) override {
    std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto read = drogue::read_status(body);
  if (read) {
    using drogue::Spelling;
    for (const auto spelling : {Spelling::packed, Spelling::named, Spelling::json}) {
      if (spelling == Spelling::json && read.value.spelling != spelling) continue;  // versions may be no text
      const auto again = drogue::read_status(drogue::write_status(read.value.status, spelling));
      require(again && again.value.status == read.value.status && again.value.spelling == spelling);
    }
  }
  Request request;
  request.method = Method::post;
  request.path = {"v1", "dfu"};
  request.principal_device = "dev";
  request.body = body;
  OneOffer gateway;
  int answers = 0;
  Drogue({}).handle(request, gateway, [&](const Response& response) {
    ++answers;
    require((response.status == 200) == bool(read));
    if (response.status != 200) return;
    require(response.content_type == drogue::media_type(read.value.spelling));
    require(response.content_type == "application/json" ||
            otagate::plugins::cbor::decode(response.body).status == OTAGATE_OK);
  });
  require(answers == 1);
  return 0;
}

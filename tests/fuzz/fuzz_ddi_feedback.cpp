// links: otagate_device_protocols
// What DDI clients send: feedback, attributes, versions, consent; and what of it comes back in documents.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/device_protocols/ddi/documents.hpp"
#include "common/device_protocols/ddi/messages.hpp"
#include "common/device_protocols/ddi/transcode.hpp"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

// Read back as part of a message: whole characters, none of them a control character.
bool plain(const std::string& text) {
  if (text.find_first_of("\"\\") != std::string::npos) return true;
  std::string wrong;
  const std::string message = R"({"name":"x","version":"v)" + text + R"("})";
  return otagate::plugins::devices::ddi::parse_assigned_version(message, wrong).has_value();
}

// An object, as far as the reader of another message gets.
bool is_object(const std::string& document) {
  std::string wrong;
  otagate::plugins::devices::ddi::parse_feedback(document, wrong);
  return wrong == "status must be an object";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::plugins::devices::ddi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string wrong;

  if (const auto json = json_of_cbor(text, wrong)) {
    // There and back it is the same, but for what CBOR has more ways to say.
    const std::string again = cbor_of_json(*json);
    std::string why;
    require(json_of_cbor(again, why) == json);
  }
  if (const auto feedback = parse_feedback(text, wrong)) {
    require(feedback->details.size() <= kMaxDetails && plain(feedback->details));
    for (const std::uint64_t blob : {std::uint64_t{0}, std::uint64_t{1000}, ~std::uint64_t{0} - 1})
      require(share_of(*feedback, blob) <= blob);
  } else {
    require(!wrong.empty());
  }
  if (const auto config = parse_config_data(text, wrong)) require(config->data.size() <= kMaxData);
  if (const auto confirmation = parse_confirmation(text, wrong))
    require(confirmation->details.size() <= kMaxDetails && plain(confirmation->details));
  if (const auto version = parse_assigned_version(text, wrong)) {
    // A name as a device says it may come back in an offer.
    otagate::sdk::OfferPart part;
    part.name = version->name;
    part.version = version->version;
    const std::string file = file_name(part, ending_of(text));
    require(file.find('/') == std::string::npos && file.find('"') == std::string::npos);
    const Place place("http://gw", "DEFAULT", version->name);
    const std::string document = deployment_document(
        place, 7, "deployment", false, {{"application", part.name, part.version, file, "", "", "", 1}});
    if (document.size() <= kMaxBody) require(is_object(document));
  }
  return 0;
}

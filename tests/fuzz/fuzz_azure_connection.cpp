// links: otagate_azure_parts
// Connection strings. What is taken is an account that fits a path and a key or a SAS; what is refused
// shows nothing of the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "azure/access.hpp"
#include "azure/address.hpp"
#include "azure/connection_string.hpp"
#include "otagate/plugin.h"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::azure;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_connection_string(text);
  if (!parsed) {
    require(parsed.error().status == OTAGATE_INVALID && parsed.error().message.size() < 200);
  } else {
    require(!parsed->endpoint.empty() && (parsed->key.empty() != parsed->sas.empty()));
    require(parsed->account.empty() ? parsed->key.empty() : account_name(parsed->account));
    require(parsed->key.empty() || (parsed->key.size() >= 16 && parsed->key.size() <= 256));
  }
  const auto access = choose_access({.connection_string = text});
  require(!access || parsed || text.empty());
  if (access) {
    for (const char c : access->sas) require(c > 0x20 && c < 0x7f);
    const auto address = Address::make(access->endpoint, "firmware");
    if (access->kind == Access::Kind::sas) require(address && (address->tls() || address->loopback()));
  }
  return 0;
}

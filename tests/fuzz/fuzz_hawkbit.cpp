// links: otagate_hawkbit_parts
// Everything that a hawkBit server and the file of target tokens may say.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hawkbit/documents.hpp"
#include "hawkbit/release.hpp"
#include "hawkbit/target_tokens.hpp"

namespace {

namespace hawkbit = otagate::hawkbit;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_link(const std::optional<hawkbit::ActionLink>& link) {
  if (!link) return;
  // Both become part of a URL.
  check(hawkbit::valid_action(link->action));
  check(link->state.find_first_of("/?#&% \r\n") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto base = hawkbit::parse_base(text)) {
    check_link(base->deployment);
    check_link(base->confirmation);
    check_link(base->cancel);
  }
  if (const auto deployment = hawkbit::parse_deployment(text)) {
    check(hawkbit::valid_action(deployment->action));
    const hawkbit::Components components = {{"jvm", ""}, {"os/a", "application"}};
    if (const auto wish = hawkbit::make_assignment(*deployment, "device", "DEFAULT", components, false)) {
      check(!wish->parts.empty() && wish->parts.size() <= 16);
      for (const auto& part : wish->parts) {
        check(!part.name.empty() && part.name.find_first_of("/\\") == std::string::npos);
        check(!part.object.key.empty() && part.object.key.size() <= 1024);
        check(!part.component.empty() && part.object.locators.size() == 1);
      }
    }
  }
  if (const auto cancel = hawkbit::parse_cancel(text)) check(hawkbit::valid_action(cancel->stop));
  check(hawkbit::error_message(text).size() <= 200);
  if (const auto tokens = hawkbit::parse_target_tokens(text)) {
    for (const auto& [target, token] : *tokens) check(!target.empty() && !token.empty());
  }
  return 0;
}

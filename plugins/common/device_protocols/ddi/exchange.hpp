// One request of a DDI client on its way through the gateway: what is needed of it once the request itself
// has gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/device_protocols/ddi/documents.hpp"
#include "common/device_protocols/ddi/memory.hpp"
#include "common/device_protocols/ddi/messages.hpp"
#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices::ddi {

// Kept alive by the calls it has under way; answers exactly once.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(const Request& request, std::string_view tenant, bool confirmation, Gateway& gateway,
           std::shared_ptr<Memory> memory, Respond respond);

  // The resources.
  void poll();
  void deployment(std::uint64_t action, bool confirming);
  void feedback(std::uint64_t action, Feedback feedback);
  void cancel(std::uint64_t action);
  void cancel_feedback(std::uint64_t action, const Feedback& feedback);
  void confirmation_base();
  void auto_confirm(bool active);
  void confirm(std::uint64_t action, Confirmation confirmation);
  void config_data(ConfigData data);
  void installed(const AssignedVersion& version);
  void installed_base(std::uint64_t action);
  void artifacts(std::string part);
  void artifact(std::string part, std::string file);

  void answer(Response response);
  // In the encoding the client accepts.
  void answer_document(std::string json);
  void answer_empty(int status = 200);

 private:
  using WithOffer = std::function<void(const sdk::Offer& offer)>;
  using WithArtifacts = std::function<void(const Artifacts& artifacts)>;

  // exchange.cpp
  void check_in(sdk::Pairs versions, sdk::Pairs attributes, WithOffer then);
  bool waits_for_consent(const Remembered& device, std::uint64_t attempt) const;
  // All parts of the offer from `artifacts.size()` on, one after the other.
  void describe(std::shared_ptr<const sdk::Offer> offer, Artifacts artifacts, WithArtifacts then);
  void describe_named(std::shared_ptr<const sdk::Offer> offer, Artifacts artifacts, std::string file,
                      WithArtifacts then);
  // The offered part of that name, or an answer of 404.
  void with_part(std::string part, WithArtifacts then);

  // feedback.cpp
  void report(std::uint64_t action, std::uint32_t parts, const Feedback& feedback, std::uint64_t first_size);
  // Tells the end of one part after the other, from that one on: the client knows of one action only.
  void settle(std::uint64_t action, std::uint32_t part, std::uint32_t parts, std::uint32_t state,
              std::int32_t code, std::string message);
  void settled(std::uint64_t action, std::uint32_t state);
  void progress(const sdk::Progress& report, std::function<void(const sdk::Outcome<std::uint32_t>&)> then);
  void gone(std::uint64_t action);

  const std::string device_;
  const std::string type_;
  const std::string address_;
  const std::uint64_t principal_;
  const std::string_view type_of_answers_;
  const bool confirmation_;
  const Place place_;
  Gateway& gateway_;
  const std::shared_ptr<Memory> memory_;
  Respond respond_;
};

}  // namespace otagate::plugins::devices::ddi

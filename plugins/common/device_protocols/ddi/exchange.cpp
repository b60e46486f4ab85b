#include "common/device_protocols/ddi/exchange.hpp"

#include <algorithm>
#include <utility>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/ddi/transcode.hpp"

namespace otagate::plugins::devices::ddi {
namespace {

// hawkBit offers a cancel until it is answered. A client that knows no cancel would then get no update any
// more: it is told this often.
constexpr std::uint8_t kCancels = 3;

constexpr std::string_view kCbor = "application/cbor";

std::string_view best_of(std::string_view accept) {
  for (const std::string_view type : {"application/hal+json", "application/json", "application/cbor"}) {
    if (accept.find(type) != std::string_view::npos) return type;
  }
  return "application/json";
}

Response no_such_action() { return problem(404, "this device has no such action"); }

}  // namespace

Exchange::Exchange(const Request& request, std::string_view tenant, bool confirmation, Gateway& gateway,
                   std::shared_ptr<Memory> memory, Respond respond)
    : device_(request.path[3]),
      type_(request.principal_type),
      address_(request.peer),
      principal_(request.principal),
      type_of_answers_(best_of(request.accept)),
      confirmation_(confirmation),
      place_(request.base_url, tenant, device_),
      gateway_(gateway),
      memory_(std::move(memory)),
      respond_(std::move(respond)) {}

void Exchange::answer(Response response) { respond_(std::move(response)); }

void Exchange::answer_document(std::string json) {
  Response response;
  response.content_type = type_of_answers_;
  response.body = type_of_answers_ == kCbor ? cbor_of_json(json) : std::move(json);
  answer(std::move(response));
}

void Exchange::answer_empty(int status) {
  Response response;
  response.status = status;
  answer(std::move(response));
}

void Exchange::check_in(sdk::Pairs versions, sdk::Pairs attributes, WithOffer then) {
  sdk::CheckIn who;
  who.principal = principal_;
  who.device = device_;
  who.type = type_;
  who.address = address_;
  who.versions = std::move(versions);
  who.attributes = std::move(attributes);
  gateway_.check_in(
      who, [self = shared_from_this(), then = std::move(then)](const sdk::Outcome<sdk::Offer>& outcome) {
        if (!outcome) return self->answer(refusal(outcome.status, outcome.retry_after_ms, outcome.message));
        then(outcome.value);
      });
}

bool Exchange::waits_for_consent(const Remembered& device, std::uint64_t attempt) const {
  return confirmation_ && !device.consents && device.consented != attempt;
}

void Exchange::poll() {
  check_in({}, {}, [self = shared_from_this()](const sdk::Offer& offer) {
    PollLinks links;
    bool begun = false;
    self->memory_->update(self->device_, [&](Remembered& device) {
      device.stopped = device.told != 0 && device.told != offer.attempt;
      if (device.stopped && device.cancels >= kCancels) device.told = 0;
      if (device.told != 0 && device.told != offer.attempt) {
        ++device.cancels;
        links.cancel = device.told;
      } else if (offer) {
        if (device.told != offer.attempt) device.begun = device.downloaded = false;
        begun = device.begun;
        device.told = offer.attempt;
        device.stopped = false;
        device.cancels = 0;
        device.parts = static_cast<std::uint32_t>(offer.parts.size());
        device.first_size = offer.parts.empty() || offer.parts.front().size == OTAGATE_SIZE_UNKNOWN
                                ? 0
                                : offer.parts.front().size;
        (self->waits_for_consent(device, offer.attempt) ? links.confirmation : links.deployment) =
            offer.attempt;
      }
      // Only where there is nothing else to do: suricatta answers this link instead of any other, each time.
      links.installed = device.installed.attempt;
      links.config_data =
          !device.configured && links.cancel == 0 && links.confirmation == 0 && links.deployment == 0;
    });
    links.tag = offer_tag(offer);
    self->answer_document(poll_document(self->place_, sleep_seconds(offer, begun), links));
  });
}

void Exchange::describe(std::shared_ptr<const sdk::Offer> offer, Artifacts artifacts, WithArtifacts then) {
  if (artifacts.size() == offer->parts.size()) return then(artifacts);
  const sdk::OfferPart& part = offer->parts[artifacts.size()];
  if (auto given = file_name_given(part))
    return describe_named(std::move(offer), std::move(artifacts), std::move(*given), std::move(then));
  gateway_.read(principal_, part.firmware, 0, kEndingBytes,
                [self = shared_from_this(), offer, artifacts = std::move(artifacts),
                 then = std::move(then)](const sdk::Outcome<std::string>& begin) mutable {
                  if (!begin) return self->answer(refusal(begin.status, begin.retry_after_ms, begin.message));
                  std::string file = file_name(offer->parts[artifacts.size()], ending_of(begin.value));
                  self->describe_named(std::move(offer), std::move(artifacts), std::move(file),
                                       std::move(then));
                });
}

void Exchange::describe_named(std::shared_ptr<const sdk::Offer> offer, Artifacts artifacts, std::string file,
                              WithArtifacts then) {
  const std::uint64_t firmware = offer->parts[artifacts.size()].firmware;
  gateway_.old_digests(
      principal_, firmware,
      [self = shared_from_this(), offer, artifacts = std::move(artifacts), file = std::move(file),
       then = std::move(then)](const sdk::Outcome<Gateway::OldDigests>& digests) mutable {
        if (!digests) return self->answer(refusal(digests.status, digests.retry_after_ms, digests.message));
        const sdk::OfferPart& part = offer->parts[artifacts.size()];
        if (part.size == OTAGATE_SIZE_UNKNOWN)
          return self->answer(refusal(OTAGATE_BUSY, 0, "the size of the firmware is not known yet"));
        artifacts.push_back({part.component, part.name, part.version, std::move(file), digests.value.sha1,
                             digests.value.md5, part.sha256, part.size});
        self->describe(std::move(offer), std::move(artifacts), std::move(then));
      });
}

void Exchange::deployment(std::uint64_t action, bool confirming) {
  check_in({}, {}, [self = shared_from_this(), action, confirming](const sdk::Offer& offer) {
    const bool waits = self->waits_for_consent(self->memory_->get(self->device_), action);
    if (offer.attempt != action || waits != confirming) return self->answer(no_such_action());
    self->describe(
        std::make_shared<sdk::Offer>(offer), {},
        [self, action, confirming, only = offer.download_only](const Artifacts& artifacts) {
          const auto shared = self->memory_->shared(artifacts);
          self->memory_->update(self->device_, [&](Remembered& device) { device.shown = {action, shared}; });
          self->answer_document(deployment_document(
              self->place_, action, confirming ? "confirmation" : "deployment", only, artifacts));
        });
  });
}

void Exchange::cancel(std::uint64_t action) {
  const Remembered device = memory_->get(device_);
  if (!device.stopped || device.told != action) return answer(no_such_action());
  // Nobody but the device itself learns what it is at.
  check_in({}, {}, [self = shared_from_this(), action](const sdk::Offer&) {
    self->answer_document(cancel_document(action));
  });
}

void Exchange::cancel_feedback(std::uint64_t action, const Feedback& feedback) {
  const bool over = feedback.execution == Execution::closed || feedback.execution == Execution::canceled ||
                    feedback.execution == Execution::rejected;
  const Remembered device = memory_->get(device_);
  if (!device.stopped || device.told != action) return answer(no_such_action());
  check_in({}, {}, [self = shared_from_this(), action, over](const sdk::Offer&) {
    if (over) {
      self->memory_->update(self->device_, [action](Remembered& known) {
        if (known.told == action) known.told = 0;
        known.stopped = known.told != 0 && known.stopped;
      });
    }
    self->answer_empty();
  });
}

void Exchange::confirmation_base() {
  check_in({}, {}, [self = shared_from_this()](const sdk::Offer&) {
    const bool automatic = !self->confirmation_ || self->memory_->get(self->device_).consents;
    self->answer_document(confirmation_base_document(self->place_, automatic));
  });
}

void Exchange::auto_confirm(bool active) {
  if (!active && !confirmation_)
    return answer(
        problem(409, "this gateway asks no device for its consent: there is nothing to switch off"));
  check_in({}, {}, [self = shared_from_this(), active](const sdk::Offer&) {
    self->memory_->update(self->device_, [active](Remembered& device) { device.consents = active; });
    self->answer_empty();
  });
}

void Exchange::confirm(std::uint64_t action, Confirmation confirmation) {
  check_in(
      {}, {},
      [self = shared_from_this(), action, confirmation = std::move(confirmation)](const sdk::Offer& offer) {
        if (offer.attempt != action) return self->answer(no_such_action());
        if (confirmation.confirmed) {
          self->memory_->update(self->device_, [action](Remembered& device) { device.consented = action; });
          return self->answer_empty();
        }
        self->settle(action, 0, static_cast<std::uint32_t>(offer.parts.size()), OTAGATE_ATTEMPT_FAILED,
                     confirmation.code,
                     "the device does not consent" +
                         (confirmation.details.empty() ? "" : ": " + confirmation.details));
      });
}

void Exchange::config_data(ConfigData data) {
  // The gateway merges; what a device removes it keeps as empty.
  if (data.mode == ConfigData::Mode::remove) {
    for (auto& [key, value] : data.data) value.clear();
  }
  check_in({}, std::move(data.data), [self = shared_from_this()](const sdk::Offer&) {
    self->memory_->update(self->device_, [](Remembered& device) { device.configured = true; });
    self->answer_empty();
  });
}

void Exchange::installed(const AssignedVersion& version) {
  check_in({{"application", version.version}}, {}, [self = shared_from_this()](const sdk::Offer& offer) {
    self->memory_->update(self->device_, [&](Remembered& device) {
      if (device.told == 0 || device.stopped) return;
      if (device.told == offer.attempt) {
        // What it runs now is not offered again.
        device.parts = static_cast<std::uint32_t>(offer.parts.size());
        return;
      }
      // An attempt that this has ended is done, not cancelled.
      device.closed = device.told;
      device.has_installed(device.told);
      device.told = 0;
    });
    self->answer_empty();
  });
}

// As hawkBit does: the deployment that was closed with success last, and no other.
void Exchange::installed_base(std::uint64_t action) {
  check_in({}, {}, [self = shared_from_this(), action](const sdk::Offer&) {
    const Remembered device = self->memory_->get(self->device_);
    if (device.installed.attempt != action) return self->answer(no_such_action());
    self->answer_document(
        deployment_document(self->place_, action, "deployment", false, *device.installed.artifacts));
  });
}

void Exchange::with_part(std::string part, WithArtifacts then) {
  check_in(
      {}, {},
      [self = shared_from_this(), part = std::move(part), then = std::move(then)](const sdk::Offer& offer) {
        const auto found =
            std::find_if(offer.parts.begin(), offer.parts.end(),
                         [&](const sdk::OfferPart& one) { return part_name(one.component) == part; });
        if (!offer || found == offer.parts.end())
          return self->answer(problem(404, "nothing of that name is offered to this device"));
        auto one = std::make_shared<sdk::Offer>();
        one->attempt = offer.attempt;
        one->parts.push_back(*found);
        self->describe(std::move(one), {}, then);
      });
}

void Exchange::artifacts(std::string part) {
  with_part(std::move(part), [self = shared_from_this()](const Artifacts& found) {
    self->answer_document(artifacts_document(self->place_, found.front()));
  });
}

void Exchange::artifact(std::string part, std::string file) {
  with_part(std::move(part), [self = shared_from_this(), file = std::move(file)](const Artifacts& found) {
    const Artifact& artifact = found.front();
    Response response;
    if (file == artifact.file) {
      response.status = 302;
      response.headers.emplace_back("Location", blob_url(self->place_, artifact.sha256));
    } else if (file == artifact.file + ".MD5SUM") {
      response.content_type = "text/plain";
      response.body = artifact.md5 + "  " + artifact.file + "\n";
    } else {
      response = problem(404, "the artifact of this part is " + artifact.file);
    }
    self->answer(std::move(response));
  });
}

}  // namespace otagate::plugins::devices::ddi

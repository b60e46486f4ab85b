// What a device says of its update, as reports of the attempt.
#include <utility>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/ddi/exchange.hpp"

namespace otagate::plugins::devices::ddi {
namespace {

// Nobody's, or one that has ended otherwise than the device says.
bool is_over(const sdk::Outcome<std::uint32_t>& outcome) {
  return outcome.status == OTAGATE_NOT_FOUND || outcome.status == OTAGATE_PRECONDITION;
}

}  // namespace

void Exchange::gone(std::uint64_t action) {
  // Said again because the answer was lost.
  if (memory_->get(device_).closed == action) return answer_empty();
  answer(problem(410, "this action is over"));
}

void Exchange::feedback(std::uint64_t action, Feedback feedback) {
  const Remembered known = memory_->get(device_);
  if (known.told == action && known.stopped && feedback.execution == Execution::canceled)
    return cancel_feedback(action, feedback);
  if (known.told == action && known.parts != 0 && !known.stopped)
    return report(action, known.parts, feedback, known.first_size);
  // Another one, or the gateway has started anew since it told the device.
  check_in({}, {},
           [self = shared_from_this(), action, feedback = std::move(feedback)](const sdk::Offer& offer) {
             if (offer.attempt != action || offer.parts.empty()) return self->gone(action);
             const std::uint64_t size = offer.parts.front().size;
             self->report(action, static_cast<std::uint32_t>(offer.parts.size()), feedback,
                          size == OTAGATE_SIZE_UNKNOWN ? 0 : size);
           });
}

void Exchange::report(std::uint64_t action, std::uint32_t parts, const Feedback& feedback,
                      std::uint64_t first_size) {
  sdk::Progress report;
  report.attempt = action;
  report.offset = share_of(feedback, first_size);
  switch (feedback.execution) {
    case Execution::closed:
      // hawkBit's rule: closed is a success unless it says otherwise.
      return settle(
          action, 0, parts,
          feedback.finished == Finished::failure ? OTAGATE_ATTEMPT_FAILED : OTAGATE_ATTEMPT_CONFIRMED,
          feedback.code, feedback.details);
    case Execution::rejected:
      return settle(action, 0, parts, OTAGATE_ATTEMPT_FAILED, feedback.code,
                    "rejected" + (feedback.details.empty() ? "" : ": " + feedback.details));
    case Execution::canceled:
      return settle(action, 0, parts, OTAGATE_ATTEMPT_FAILED, feedback.code,
                    "canceled by the device" + (feedback.details.empty() ? "" : ": " + feedback.details));
    case Execution::downloaded:
      report.state = OTAGATE_ATTEMPT_DOWNLOADED;
      report.offset = first_size;
      break;
    case Execution::proceeding:
      // Once it has everything, what proceeds is the installation.
      if (const Remembered known = memory_->get(device_); known.told == action && known.downloaded) {
        report.state = OTAGATE_ATTEMPT_APPLYING;
        report.offset = first_size;
      }
      break;
    case Execution::scheduled:
    case Execution::resumed:
    case Execution::download: break;
  }
  progress(report,
           [self = shared_from_this(), action, downloaded = report.state == OTAGATE_ATTEMPT_DOWNLOADED](
               const sdk::Outcome<std::uint32_t>& outcome) {
             if (is_over(outcome) || outcome.value == OTAGATE_STOP) return self->gone(action);
             self->memory_->update(self->device_, [action, downloaded](Remembered& device) {
               if (device.told != action) return;
               device.begun = true;
               device.downloaded = device.downloaded || downloaded;
             });
             self->answer_empty();
           });
}

void Exchange::progress(const sdk::Progress& report,
                        std::function<void(const sdk::Outcome<std::uint32_t>&)> then) {
  sdk::Progress whose = report;
  whose.principal = principal_;
  whose.device = device_;
  gateway_.progress(
      whose, [self = shared_from_this(), then = std::move(then)](const sdk::Outcome<std::uint32_t>& outcome) {
        if (!outcome && !is_over(outcome))
          return self->answer(refusal(outcome.status, outcome.retry_after_ms, outcome.message));
        then(outcome);
      });
}

void Exchange::settle(std::uint64_t action, std::uint32_t part, std::uint32_t parts, std::uint32_t state,
                      std::int32_t code, std::string message) {
  sdk::Progress report;
  report.attempt = action;
  report.state = state;
  report.part = part;
  report.code = code;
  const std::string text = message;
  report.message = text;
  progress(report, [self = shared_from_this(), action, part, parts, state, code,
                    message = std::move(message)](const sdk::Outcome<std::uint32_t>& outcome) mutable {
    const bool over = is_over(outcome);
    const bool stopped = !over && outcome.value == OTAGATE_STOP;
    // Over before anything was said: not by this.
    if (over && part == 0) return self->gone(action);
    if (stopped && state == OTAGATE_ATTEMPT_CONFIRMED) return self->gone(action);
    if (over || stopped || part + 1 >= parts) return self->settled(action, state);
    self->settle(action, part + 1, parts, state, code, std::move(message));
  });
}

void Exchange::settled(std::uint64_t action, std::uint32_t state) {
  memory_->update(device_, [action, state](Remembered& device) {
    device.closed = action;
    if (device.told == action) device.told = 0;
    device.stopped = device.told != 0 && device.stopped;
    device.downloaded = false;
    // It may say other things of itself now.
    if (state != OTAGATE_ATTEMPT_CONFIRMED) return;
    device.configured = false;
    device.has_installed(action);
  });
  answer_empty();
}

}  // namespace otagate::plugins::devices::ddi

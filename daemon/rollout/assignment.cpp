#include "rollout/assignment.hpp"

#include <utility>

namespace otagate::rollout {

std::string_view to_string(FeedbackKind kind) {
  switch (kind) {
    case FeedbackKind::progress: return "progress";
    case FeedbackKind::downloaded: return "downloaded";
    case FeedbackKind::success: return "success";
    case FeedbackKind::failure: return "failure";
    case FeedbackKind::cancelled: return "cancelled";
    case FeedbackKind::cancel_refused: return "cancel_refused";
    case FeedbackKind::confirmed: return "confirmed";
    case FeedbackKind::denied: return "denied";
  }
  return "unknown";
}

std::string_view to_string(Confirmation confirmation) {
  switch (confirmation) {
    case Confirmation::none: return "none";
    case Confirmation::asked: return "asked";
    case Confirmation::agreed: return "agreed";
    case Confirmation::told: return "told";
  }
  return "unknown";
}

bool Assignment::succeeded() const {
  return outcome_ == FeedbackKind::success || outcome_ == FeedbackKind::downloaded;
}

void Assignment::said_again(bool download_only, bool needs_confirm) {
  download_only_ = download_only;
  // Upstream that asks no more has heard that somebody agreed; one that asks once more had not heard it yet.
  if (!needs_confirm)
    confirmation_ = Confirmation::none;
  else if (confirmation_ == Confirmation::none)
    confirmation_ = Confirmation::asked;
}

std::optional<Feedback> Assignment::agreed() {
  if (outcome_ || confirmation_ != Confirmation::asked) return std::nullopt;
  confirmation_ = Confirmation::agreed;
  return Feedback{.kind = FeedbackKind::confirmed};
}

void Assignment::told_that_agreed() {
  if (confirmation_ == Confirmation::agreed) confirmation_ = Confirmation::told;
}

std::optional<Feedback> Assignment::began(std::uint64_t total, Milliseconds now) {
  if (outcome_) return std::nullopt;
  said_ = 0;
  said_at_ = now;
  held_up_.clear();
  return Feedback{.total = total};
}

std::optional<Feedback> Assignment::progress(std::uint64_t done, std::uint64_t total, Milliseconds now) {
  if (outcome_ || done <= said_) return std::nullopt;
  const bool far = total > 0 && (done - said_) >= (total + kProgressPercent - 1) / kProgressPercent;
  if (!far && now - said_at_ < kProgressEvery) return std::nullopt;
  said_ = done;
  said_at_ = now;
  return Feedback{.done = done, .total = total};
}

std::optional<Feedback> Assignment::downloaded(std::uint64_t total) {
  // Of one that ends with it, the end says so.
  if (outcome_ || download_only_) return std::nullopt;
  said_ = total;
  return Feedback{.kind = FeedbackKind::downloaded, .done = total, .total = total};
}

std::optional<Feedback> Assignment::tried(std::int32_t code, std::string message, bool again) {
  if (outcome_) return std::nullopt;
  code_ = code;
  message_ = std::move(message);
  if (!again) return std::nullopt;
  return Feedback{.code = code_, .message = "it is tried again: " + message_};
}

std::optional<Feedback> Assignment::held_up(std::string message) {
  if (outcome_ || message == held_up_) return std::nullopt;
  held_up_ = std::move(message);
  return Feedback{.message = held_up_};
}

std::optional<Feedback> Assignment::succeed(std::string message) {
  return end(download_only_ ? FeedbackKind::downloaded : FeedbackKind::success, 0, std::move(message));
}

std::optional<Feedback> Assignment::fail(std::string message) {
  const bool known = message.empty();
  return end(FeedbackKind::failure, known ? code_ : 0, known ? message_ : std::move(message));
}

std::optional<Feedback> Assignment::deny(std::string message) {
  return end(FeedbackKind::denied, 0, std::move(message));
}

Feedback Assignment::cancel(bool applying) {
  if (outcome_ && succeeded())
    return {.kind = FeedbackKind::cancel_refused, .message = "the device has finished it"};
  if (!outcome_ && applying)
    return {.kind = FeedbackKind::cancel_refused, .message = "the device applies it already"};
  outcome_ = FeedbackKind::cancelled;
  return {.kind = FeedbackKind::cancelled};
}

std::optional<Feedback> Assignment::end(FeedbackKind kind, std::int32_t code, std::string message) {
  if (outcome_) return std::nullopt;
  outcome_ = kind;
  return Feedback{.kind = kind, .code = code, .message = std::move(message)};
}

}  // namespace otagate::rollout

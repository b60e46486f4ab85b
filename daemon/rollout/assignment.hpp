// What the store that assigned an update is told of it, as a state machine: what happened in, what to say
// out.
//
// It knows no clock but the one it is given, and stores nothing: whoever calls it keeps confirmation() and
// outcome(). Progress is said sparingly, because upstream counts every word (hawkBit: 1,000 for an action).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace otagate::rollout {

// Values are stored, and are those of OTAGATE_FEEDBACK_*.
enum class FeedbackKind : std::uint8_t {
  progress = 0,
  downloaded = 1,
  success = 2,
  failure = 3,
  cancelled = 4,
  cancel_refused = 5,
  confirmed = 6,
  denied = 7,
};
std::string_view to_string(FeedbackKind kind);

struct Feedback {
  FeedbackKind kind = FeedbackKind::progress;
  std::uint64_t done = 0;  // bytes of `total`
  std::uint64_t total = 0;
  std::int32_t code = 0;
  std::string message{};
};

// Values are stored: append only.
enum class Confirmation : std::uint8_t {
  none = 0,    // not asked for
  asked = 1,   // somebody has to agree
  agreed = 2,  // upstream has to be told
  told = 3,    // may begin
};
std::string_view to_string(Confirmation confirmation);

class Assignment {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kProgressEvery{60'000};
  static constexpr std::uint64_t kProgressPercent = 10;

  Assignment(bool download_only, bool needs_confirm)
      : download_only_(download_only),
        confirmation_(needs_confirm ? Confirmation::asked : Confirmation::none) {}
  // As it was stored.
  Assignment(bool download_only, Confirmation confirmation, std::optional<FeedbackKind> outcome)
      : download_only_(download_only), confirmation_(confirmation), outcome_(outcome) {}

  bool download_only() const { return download_only_; }
  Confirmation confirmation() const { return confirmation_; }
  // What ended it; nothing: it is open. What is said of an open one is refused afterwards.
  std::optional<FeedbackKind> outcome() const { return outcome_; }
  bool succeeded() const;
  bool may_begin() const {
    return !outcome_ && (confirmation_ == Confirmation::none || confirmation_ == Confirmation::told);
  }

  // ---- what the operator and upstream say
  // Upstream says it again, with or without the question.
  void said_again(bool download_only, bool needs_confirm);
  std::optional<Feedback> agreed();
  void told_that_agreed();

  // ---- what the device's attempts come to. `done` of `total` bytes of all parts.
  std::optional<Feedback> began(std::uint64_t total, Milliseconds now);
  std::optional<Feedback> progress(std::uint64_t done, std::uint64_t total, Milliseconds now);
  std::optional<Feedback> downloaded(std::uint64_t total);
  // It did not work this time; `again`: there will be another.
  std::optional<Feedback> tried(std::int32_t code, std::string message, bool again);
  // Something keeps it from beginning.
  std::optional<Feedback> held_up(std::string message);

  // ---- its end. Nothing: it had one.
  std::optional<Feedback> succeed(std::string message);
  // With what tried() was told last, where `message` is empty.
  std::optional<Feedback> fail(std::string message);
  std::optional<Feedback> deny(std::string message);
  // Upstream takes it back. `applying`: the device cannot be stopped any more.
  Feedback cancel(bool applying);

 private:
  std::optional<Feedback> end(FeedbackKind kind, std::int32_t code, std::string message);

  bool download_only_;
  Confirmation confirmation_;
  std::optional<FeedbackKind> outcome_;
  std::uint64_t said_ = 0;
  Milliseconds said_at_{0};
  std::int32_t code_ = 0;
  std::string message_;
  std::string held_up_;
};

}  // namespace otagate::rollout

#include "rollout/attempt.hpp"

#include <algorithm>
#include <utility>

namespace otagate::rollout {

std::string_view to_string(AttemptState state) {
  switch (state) {
    case AttemptState::offered: return "offered";
    case AttemptState::downloading: return "downloading";
    case AttemptState::downloaded: return "downloaded";
    case AttemptState::applying: return "applying";
    case AttemptState::confirmed: return "confirmed";
    case AttemptState::failed: return "failed";
    case AttemptState::reverted: return "reverted";
    case AttemptState::timed_out: return "timed_out";
    case AttemptState::cancelled: return "cancelled";
    case AttemptState::superseded: return "superseded";
  }
  return "unknown";
}

bool is_final(AttemptState state) { return state >= AttemptState::confirmed; }

Attempt::Attempt(std::uint32_t parts, Patience patience, Milliseconds now, bool download_only)
    : parts_(parts), patience_(patience), download_only_(download_only), due_(now + patience.silence) {}

Attempt::Attempt(std::uint32_t parts, Patience patience, Milliseconds now, AttemptState state,
                 std::uint32_t part, std::uint64_t offset, bool download_only)
    : parts_(parts),
      patience_(patience),
      download_only_(download_only),
      state_(state),
      part_(part),
      offset_(offset) {
  heard(now);
}

void Attempt::heard(Milliseconds now) {
  due_ = now + (state_ == AttemptState::applying ? patience_.apply : patience_.silence);
}

void Attempt::end(AttemptState state, std::int32_t code, std::string message) {
  state_ = state;
  code_ = code;
  message_ = std::move(message);
  due_ = Milliseconds::max();
}

void Attempt::part_done(Milliseconds now) {
  if (part_ + 1 >= parts_) return end(AttemptState::confirmed, 0, {});
  ++part_;
  offset_ = 0;
  state_ = AttemptState::offered;
  heard(now);
}

Answer Attempt::report(const Report& report, Milliseconds now) {
  using Kind = Report::Kind;
  if (is_final(state_)) {
    // Said again, because the answer was lost: the same answer.
    if (state_ == AttemptState::confirmed)
      return report.kind == Kind::needs_confirm ? Answer::confirm : Answer::go_on;
    return report.kind == Kind::needs_confirm ? Answer::revert : Answer::stop;
  }
  if (report.part < part_) return report.kind == Kind::needs_confirm ? Answer::confirm : Answer::go_on;
  if (report.part > part_) return Answer::go_on;
  switch (report.kind) {
    case Kind::downloading:
      if (state_ == AttemptState::applying) break;
      state_ = AttemptState::downloading;
      offset_ = std::max(offset_, report.offset);
      break;
    case Kind::downloaded:
      if (state_ == AttemptState::applying) break;
      state_ = AttemptState::downloaded;
      offset_ = std::max(offset_, report.offset);
      if (download_only_) {
        part_done(now);
        return Answer::go_on;
      }
      break;
    case Kind::applying: state_ = AttemptState::applying; break;
    case Kind::needs_confirm:
      // Runs what it was given, on trial: it has started, so it may stay.
      state_ = AttemptState::applying;
      heard(now);
      return Answer::confirm;
    case Kind::confirmed: part_done(now); return Answer::go_on;
    case Kind::failed: end(AttemptState::failed, report.code, report.message); return Answer::stop;
    case Kind::reverted: end(AttemptState::reverted, report.code, report.message); return Answer::stop;
  }
  heard(now);
  return Answer::go_on;
}

void Attempt::checked_in(Runs runs, Milliseconds now) {
  if (is_final(state_)) return;
  if (runs == Runs::target) return part_done(now);
  if (state_ == AttemptState::applying && runs == Runs::restarted)
    return end(AttemptState::reverted, 0, "the device came back with what it ran before");
  // It polls while it applies: no sign that it gets anywhere.
  if (state_ != AttemptState::applying) heard(now);
}

void Attempt::tick(Milliseconds now) {
  if (is_final(state_) || now < due_) return;
  end(AttemptState::timed_out, 0, "nothing was heard of it while it was " + std::string(to_string(state_)));
}

bool Attempt::cancel(AttemptState why, std::string message) {
  if (is_final(state_)) return true;
  if (state_ == AttemptState::applying) return false;
  end(why, 0, std::move(message));
  return true;
}

void Attempt::abandon(std::string message) {
  if (!is_final(state_)) end(AttemptState::cancelled, 0, std::move(message));
}

}  // namespace otagate::rollout

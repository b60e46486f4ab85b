#include "device.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace otagate::sim {
namespace {

constexpr std::size_t kMaxChanges = 256;
constexpr std::size_t kMaxViolations = 16;
constexpr std::size_t kMaxText = 200;
constexpr double kSilentAfterDownload = 0.8;
// Where the size is not known before the end (Drogue): crashes and silences come within so many bytes.
constexpr std::uint64_t kUnknownSpan = 2048;
constexpr Milliseconds kFirstBackOff{250};
constexpr Milliseconds kMostBackOff{10'000};
constexpr Milliseconds kPoll{30'000};

std::uint64_t at_share(double share, std::uint64_t span) {
  return 1 + static_cast<std::uint64_t>(share * static_cast<double>(span > 0 ? span - 1 : 0));
}

}  // namespace

Device::Device(Profile profile)
    : profile_(std::move(profile)), version_(profile_.version), chance_(profile_.seed, 1) {}

Action Device::begin(Milliseconds now) {
  now_ = now;
  note("started", version_);
  return speak();
}

Action Device::rested(Milliseconds now) {
  now_ = now;
  return speak();
}

Action Device::answered(const Reply& reply, Milliseconds now) {
  now_ = now;
  if (reply.status < 500 && reply.status != 429) back_off_ = Milliseconds(0);
  return hear(reply);
}

Action Device::unanswered(std::string_view, Milliseconds now) {
  now_ = now;
  ++record_.unanswered;
  return back_off();
}

Milliseconds Device::scaled(Milliseconds time) const {
  return Milliseconds(
      static_cast<Milliseconds::rep>(static_cast<double>(time.count()) / habits().time_scale));
}

Action Device::idle(Milliseconds said) {
  const auto time = habits().poll_interval.value_or(said.count() > 0 ? said : kPoll);
  // Ten per cent either way, or a fleet that was started at once asks at once for ever.
  const double factor = 0.9 + 0.2 * chance_.share();
  return rest(Milliseconds(static_cast<Milliseconds::rep>(static_cast<double>(time.count()) * factor)));
}

Action Device::back_off(Milliseconds said) {
  back_off_ = back_off_.count() == 0 ? kFirstBackOff : std::min(back_off_ * 2, kMostBackOff);
  auto time = std::max(back_off_, said);
  if (habits().poll_interval) time = std::min(time, std::max(*habits().poll_interval, kFirstBackOff));
  return rest(Milliseconds(
      static_cast<Milliseconds::rep>(static_cast<double>(time.count()) * (0.5 + chance_.share()))));
}

void Device::note(std::string_view state, std::string_view version) {
  auto& changes = record_.changes;
  if (changes.size() >= kMaxChanges) return;
  if (!changes.empty() && changes.back().state == state && changes.back().version == version) return;
  changes.push_back({now_, std::string(state), std::string(version.substr(0, kMaxText))});
}

void Device::violation(std::string text) {
  if (record_.violations.size() >= kMaxViolations) return;
  text.resize(std::min(text.size(), kMaxText));
  record_.violations.push_back(std::move(text));
}

void Device::start(std::string_view version, std::optional<std::uint64_t> size, std::string_view sha256) {
  auto key = std::string(version) + ' ' + std::string(sha256);
  const bool resumed = image_.key() == key && image_.offset() > 0;
  if (image_.key() != key) image_.begin(key);
  if (!busy_) ++record_.updates;
  busy_ = true;
  if (fate().end == End::good) settled_ = false;
  coming_ = version;
  const auto span = size.value_or(kUnknownSpan);
  crash_at_ = at_share(fate().crash_at, span);
  silent_at_ = fate().silent_at < kSilentAfterDownload
                   ? at_share(fate().silent_at / kSilentAfterDownload, span)
                   : std::numeric_limits<std::uint64_t>::max();
  note(resumed ? "resumed" : "downloading", version);
}

std::optional<Action> Device::take(std::string_view data) {
  image_.append(data);
  record_.bytes += data.size();
  if (fate().end == End::silent && image_.offset() >= silent_at_) return silence();
  if (fate().crashes && !crashed_ && image_.offset() >= crash_at_) return crash();
  if (habits().flash_rate == 0) return std::nullopt;
  return rest(scaled(Milliseconds(data.size() * 1000 / habits().flash_rate)));
}

bool Device::verify(std::string_view sha256) {
  if (sha256.empty()) {
    ++record_.unchecked;
    return true;
  }
  if (image_.sha256() == sha256) {
    ++record_.checked;
    note("verified", coming_);
    return true;
  }
  ++record_.mismatched;
  note("mismatch", coming_);
  return false;
}

Action Device::swap() {
  note("applying", coming_);
  if (fate().end == End::silent) return silence();
  if (fate().end != End::reverts) version_ = coming_;
  swapped_ = true;
  image_.clear();
  restarted();
  return rest(scaled(habits().reboot));
}

void Device::keep() {
  busy_ = false;
  note("kept", coming_);
  settle();
}

void Device::drop(std::string_view state) {
  busy_ = false;
  image_.clear();
  note(state, coming_);
}

void Device::acknowledged() {
  if (swapped_) {
    swapped_ = false;
    busy_ = false;
    note(fate().end == End::reverts ? "reverted" : "confirmed", version_);
    settle();
  } else if (!busy_ && fate().end == End::good && !habits().expect.empty() && version_ == habits().expect) {
    settle();
  }
}

void Device::told_failure() {
  drop("failed");
  settle();
}

Action Device::silence() {
  note("silent", version_);
  gone_ = true;
  busy_ = false;
  settle();
  return Leave{};
}

Action Device::crash() {
  crashed_ = true;
  note("crashed", version_);
  if (fate().forgets) image_.clear();
  restarted();
  return rest(scaled(habits().crash));
}

void Device::settle() { settled_ = true; }

std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : bytes) {
    bits = bits << 8U | static_cast<unsigned char>(c);
    have += 8;
    while (have >= 6) {
      have -= 6;
      out += kDigits[bits >> have & 63U];
    }
  }
  if (have > 0) out += kDigits[bits << (6 - have) & 63U];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

}  // namespace otagate::sim

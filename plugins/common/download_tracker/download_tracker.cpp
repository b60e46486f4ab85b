#include "common/download_tracker/download_tracker.hpp"

#include <algorithm>

namespace otagate::plugins {

class DownloadTracker::Track {
 public:
  Track(devices::Gateway& gateway, const Download& download)
      : gateway_(gateway),
        by_address_(download.who == nullptr),
        principal_(by_address_ ? 0 : download.who->id),
        device_(by_address_ ? std::string() : download.who->device),
        type_(by_address_ ? std::string() : download.who->type),
        firmware_(download.firmware),
        sha256_(download.sha256),
        size_(download.size) {}

  // Whether the device is to be asked for again: it starts over, and nothing is under way.
  bool due(std::uint64_t offset, std::uint64_t now_ms) const {
    if (stage_ == Stage::new_) return true;
    return offset == 0 && (stage_ == Stage::none || stage_ == Stage::over) &&
           now_ms - asked_ms_ >= kAskAgainMs;
  }

  static void ask(const TrackPtr& self, std::string_view address, std::uint64_t now_ms) {
    self->stage_ = Stage::asking;
    self->asked_ms_ = self->now_ms_ = now_ms;
    self->end_ = 0;
    sdk::CheckIn who;
    who.by_address = self->by_address_;
    who.principal = self->principal_;
    who.device = self->device_;
    who.type = self->type_;
    who.address = address;
    self->gateway_.check_in(who, [self](const sdk::Outcome<sdk::Offer>& outcome) { granted(self, outcome); });
  }

  static void sent(const TrackPtr& self, std::uint64_t end, std::uint64_t now_ms) {
    self->end_ = std::max(self->end_, end);
    self->now_ms_ = now_ms;
    if (self->stage_ == Stage::active && !self->reporting_) go_on(self);
  }

 private:
  enum class Stage { new_, asking, none, active, over };

  static void granted(const TrackPtr& self, const sdk::Outcome<sdk::Offer>& outcome) {
    const auto& parts = outcome.value.parts;
    const auto part = std::find_if(parts.begin(), parts.end(), [&](const sdk::OfferPart& one) {
      return one.firmware == self->firmware_ || (!one.sha256.empty() && one.sha256 == self->sha256_);
    });
    if (!outcome || !outcome.value || part == parts.end()) {
      self->stage_ = Stage::none;
      return;
    }
    self->attempt_ = outcome.value.attempt;
    self->part_ = static_cast<std::uint32_t>(part - parts.begin());
    self->pause_ms_ = std::clamp(outcome.value.lease_ms / 3, kPauseMs, kMostPauseMs);
    self->stage_ = Stage::active;
    // The first report is also what takes the offer up.
    report(self, OTAGATE_ATTEMPT_DOWNLOADING);
  }

  static void go_on(const TrackPtr& self) {
    if (self->end_ >= self->size_) return report(self, OTAGATE_ATTEMPT_DOWNLOADED);
    const std::uint64_t passed = self->now_ms_ - self->reported_ms_;
    const bool step = self->end_ >= self->reported_ + kStep && passed >= kPauseMs;
    if (step || passed >= self->pause_ms_) report(self, OTAGATE_ATTEMPT_DOWNLOADING);
  }

  static void report(const TrackPtr& self, std::uint32_t state) {
    self->reporting_ = true;
    self->reported_ = self->end_;
    self->reported_ms_ = self->now_ms_;
    sdk::Progress progress;
    progress.attempt = self->attempt_;
    progress.state = state;
    progress.part = self->part_;
    progress.offset = self->end_;
    progress.principal = self->principal_;
    progress.device = self->device_;
    self->gateway_.progress(progress, [self, state](const sdk::Outcome<std::uint32_t>& outcome) {
      self->reporting_ = false;
      if (outcome.status == OTAGATE_NOT_FOUND || (outcome && outcome.value == OTAGATE_STOP) ||
          (outcome && state == OTAGATE_ATTEMPT_DOWNLOADED)) {
        self->stage_ = Stage::over;
      } else if (outcome && self->end_ >= self->size_) {
        // The last bytes went out meanwhile, and nobody will come to say more.
        report(self, OTAGATE_ATTEMPT_DOWNLOADED);
      }
    });
  }

  devices::Gateway& gateway_;
  const bool by_address_;
  const std::uint64_t principal_;
  const std::string device_;
  const std::string type_;
  const std::uint64_t firmware_;
  const std::string sha256_;
  const std::uint64_t size_;

  Stage stage_ = Stage::new_;
  bool reporting_ = false;
  std::uint64_t attempt_ = 0;
  std::uint32_t part_ = 0;
  std::uint64_t end_ = 0;  // sent up to here
  std::uint64_t reported_ = 0;
  std::uint64_t now_ms_ = 0;
  std::uint64_t asked_ms_ = 0;
  std::uint64_t reported_ms_ = 0;
  std::uint64_t pause_ms_ = kPauseMs;
};

DownloadTracker::TrackPtr DownloadTracker::begin(const Download& download, std::uint64_t now_ms) {
  // A blob that is in no catalog has no number.
  Key key{download.who == nullptr ? 0 : download.who->id,
          std::string(download.who == nullptr ? download.address : std::string_view()), download.firmware,
          std::string(download.firmware == 0 ? download.sha256 : std::string_view())};
  const auto known = index_.find(key);
  if (known != index_.end()) {
    order_.splice(order_.begin(), order_, known->second);
  } else {
    if (order_.size() >= kMaxTracks) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(key, std::make_shared<Track>(gateway_, download));
    index_.emplace(key, order_.begin());
  }
  const TrackPtr track = order_.front().second;
  if (track->due(download.offset, now_ms)) Track::ask(track, download.address, now_ms);
  return track;
}

void DownloadTracker::sent(const TrackPtr& track, std::uint64_t end, std::uint64_t now_ms) {
  Track::sent(track, end, now_ms);
}

}  // namespace otagate::plugins

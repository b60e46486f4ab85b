// Devices that know no update protocol and just download (nRF Connect's FOTA, curl): the gateway checks them
// in when they begin, and what they have been sent becomes the progress of their attempt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins {

// On the carrier's thread, as its Gateway is. Bounded: of too many downloads the one that was quiet for
// longest is forgotten, and is then found again by a new check-in.
class DownloadTracker {
 public:
  static constexpr std::size_t kMaxTracks = 1024;
  static constexpr std::uint64_t kStep = 65536;          // bytes between two reports, and
  static constexpr std::uint64_t kPauseMs = 2000;        // time, whichever comes later;
  static constexpr std::uint64_t kMostPauseMs = 10'000;  // but a slow download keeps its lease
  static constexpr std::uint64_t kAskAgainMs = 10'000;   // after a check-in without an offer for it

  // What is being downloaded by whom. Borrowed for the call.
  struct Download {
    const sdk::Principal* who = nullptr;  // bound to a device; null: whoever is at `address`
    std::uint64_t firmware = 0;
    std::string_view sha256;
    std::uint64_t size = 0;
    std::string_view address{};
    std::uint64_t offset = 0;  // of the bytes that are about to be sent
  };
  class Track;
  using TrackPtr = std::shared_ptr<Track>;

  // The gateway may be made later, but outlives nothing: replies that come after the tracker are fine.
  explicit DownloadTracker(devices::Gateway& gateway) : gateway_(gateway) {}

  // The track of this download; checks the device in where that is due. Times are monotonic milliseconds.
  TrackPtr begin(const Download& download, std::uint64_t now_ms);
  // The bytes before `end` have been handed to the network.
  static void sent(const TrackPtr& track, std::uint64_t end, std::uint64_t now_ms);

 private:
  // Principal or, without one, address; firmware.
  using Key = std::tuple<std::uint64_t, std::string, std::uint64_t, std::string>;
  using Order = std::list<std::pair<Key, TrackPtr>>;

  devices::Gateway& gateway_;
  Order order_;  // most recently used first
  std::map<Key, Order::iterator> index_;
};

}  // namespace otagate::plugins

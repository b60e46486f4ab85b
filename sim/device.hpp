// One simulated device as a state machine without I/O or clock: what it hears in, what it does next out.
//
// A device does one thing at a time: it waits for an answer, or it rests (polls later, writes its flash,
// reboots), or it is gone. What it says stays the same until it is answered, so that whatever is lost on the
// way, it says again. Protocols derive from Device; carriers (HTTP, CoAP) know nothing of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dice.hpp"
#include "image.hpp"

namespace otagate::sim {

using Milliseconds = std::chrono::milliseconds;

enum class Method : std::uint8_t { get, put, post };

struct Range {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

struct Ask {
  Method method = Method::get;
  std::string target;  // "/path?query", percent-encoded, or an absolute URL
  std::string content_type;
  std::string accept;
  std::string authorization;  // "Bearer ..."; empty: none
  std::string body;
  std::optional<Range> range;  // of the representation: Range, Block2
  Milliseconds patience{30'000};
  bool check_in = false;  // counts for the latency of check-ins
};

struct Reply {
  int status = 0;  // HTTP's, or CoAP's class * 100 + detail (2.05 is 205)
  std::string content_type;
  std::string body;
  std::optional<std::uint64_t> total;  // length of the whole representation, where said
  Milliseconds retry_after{0};

  bool ok() const { return status / 100 == 2; }
};

struct Rest {
  Milliseconds time{0};
};
struct Leave {};
using Action = std::variant<Ask, Rest, Leave>;

// How devices are made; all of one fleet share it.
struct Habits {
  std::optional<Milliseconds> poll_interval;  // instead of what the gateway says
  std::uint64_t flash_rate = 0;               // bytes per second; 0: at once
  double time_scale = 1;                      // reboots and flash are so many times faster
  Milliseconds reboot{3'000};
  Milliseconds crash{5'000};  // how long a crashed device is away
  std::uint32_t mtu = 512;    // of Drogue devices
  std::uint32_t chunk = 0;    // bytes of a range; 0: what is usual for the protocol
  Milliseconds long_poll{0};  // of Drogue devices: how long the gateway may hold back its answer
  std::string tenant = "DEFAULT";
  std::string firmware;  // "name/version" that devices without a protocol download
  std::string expect;    // who runs this version has nothing left to do; empty: nobody has
};

struct Profile {
  std::string id;
  std::string type;
  std::string version;
  std::string token;  // empty: none
  Fate fate;
  std::uint64_t seed = 0;  // of what is not fate: jitter
  bool coap = false;
  const Habits* habits = nullptr;  // outlives the device
};

// What happened to it. Bounded, whatever the gateway makes it go through.
struct Change {
  Milliseconds at{0};
  std::string state;
  std::string version;
};
struct Record {
  std::vector<Change> changes;
  std::vector<std::string> violations;  // what the gateway must not do
  std::uint64_t bytes = 0;              // of images
  std::uint32_t updates = 0;            // begun
  std::uint32_t checked = 0;            // images whose SHA-256 was as offered
  std::uint32_t mismatched = 0;         // and was not
  std::uint32_t unchecked = 0;          // and was not known
  std::uint32_t unanswered = 0;
};

class Device {
 public:
  explicit Device(Profile profile);
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // `now`: time since the start of the fleet. Each of these answers what the last action asked for.
  Action begin(Milliseconds now);
  Action rested(Milliseconds now);
  Action answered(const Reply& reply, Milliseconds now);
  Action unanswered(std::string_view why, Milliseconds now);

  const Profile& profile() const { return profile_; }
  const std::string& version() const { return version_; }  // that it runs
  const Record& record() const { return record_; }
  // It has come to the end that its dice said, and the gateway has been told, where it is to be.
  bool settled() const { return settled_; }
  bool gone() const { return gone_; }
  bool busy() const { return busy_; }  // in the middle of an update

 protected:
  // What is to be said now; the same again until it is answered.
  virtual Action speak() = 0;
  virtual Action hear(const Reply& reply) = 0;
  // It starts anew: all that is not in the flash is forgotten. The flash may be: see image().
  virtual void restarted() = 0;

  const Habits& habits() const { return *profile_.habits; }
  const Fate& fate() const { return profile_.fate; }
  Image& image() { return image_; }
  Action rest(Milliseconds time) const { return Rest{time}; }
  // Until the next poll; `said`: how long the gateway would have it wait, 0 if it did not say.
  Action idle(Milliseconds said);
  // After something that failed; doubles until an answer comes.
  Action back_off(Milliseconds said = Milliseconds(0));
  void note(std::string_view state, std::string_view version = {});
  void violation(std::string text);

  // An update to `version`; what the image has of the same update already is kept.
  void start(std::string_view version, std::optional<std::uint64_t> size, std::string_view sha256);
  // Flash takes `data` at image().offset(). No action: go on at once.
  std::optional<Action> take(std::string_view data);
  // Whether the whole image is good, by SHA-256 in hex; empty: not known.
  bool verify(std::string_view sha256);
  // Into the new image, or wherever its dice lead it. restarted() comes before it speaks again.
  Action swap();
  // It was only to be downloaded: the image stays, for the day it is to be installed.
  void keep();
  // The update is not to be: cancelled, failed, refused. The image is dropped.
  void drop(std::string_view state);
  // The gateway has answered a device that runs what version() says.
  void acknowledged();
  // The failure that was in its dice has been told.
  void told_failure();

 private:
  Action silence();
  Action crash();
  void settle();
  Milliseconds scaled(Milliseconds time) const;

  Profile profile_;
  std::string version_;
  Image image_;
  Record record_;
  Chance chance_;
  Milliseconds now_{0};
  Milliseconds back_off_{0};
  std::string coming_;  // version of the update
  std::uint64_t crash_at_ = 0;
  std::uint64_t silent_at_ = 0;
  bool crashed_ = false;
  bool swapped_ = false;  // since the last answer
  bool settled_ = false;
  bool busy_ = false;
  bool gone_ = false;
};

// ---- for protocols
std::string percent_encoded(std::string_view text);
std::string base64(std::string_view bytes);

}  // namespace otagate::sim

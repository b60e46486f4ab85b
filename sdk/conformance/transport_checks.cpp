// What every transport must do. The configuration names a command that plays the device: it fetches the
// firmware OTAGATE_CHECK_NAME/_VERSION/_TYPE as device OTAGATE_CHECK_DEVICE, which runs
// OTAGATE_CHECK_RUNS, into the file OTAGATE_CHECK_OUT, and exits with 0 when it believes that it has all.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "check.hpp"
#include "device.hpp"
#include "gateway.hpp"
#include "otagate/cpp/status.hpp"
#include "resources.hpp"

namespace otagate::kit {
namespace {

constexpr std::size_t kSmall = 300'000;
constexpr milliseconds kTransfer{40'000};

// A file for what the device gets, removed at the end.
class OutFile {
 public:
  OutFile() {
    const int fd = ::mkstemp(name_);
    expect(fd >= 0, "cannot make a file in /tmp");
    ::close(fd);
  }
  ~OutFile() { ::unlink(name_); }
  OutFile(const OutFile&) = delete;
  OutFile& operator=(const OutFile&) = delete;

  const char* name() const { return name_; }
  std::string bytes() const {
    std::ifstream in(name_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

 private:
  char name_[32] = "/tmp/otagate-check-XXXXXX";
};

std::size_t size_for(Subject& subject) { return static_cast<std::size_t>(subject.number("size", kSmall)); }

// What has come so far must be bytes of the blob and nothing else.
void expect_prefix(const std::string& got, const std::string& content, const char* when) {
  const auto differs = std::mismatch(
      got.begin(), got.begin() + static_cast<std::ptrdiff_t>(std::min(got.size(), content.size())),
      content.begin());
  const auto at = differs.first - got.begin();
  expect(static_cast<std::size_t>(at) == std::min(got.size(), content.size()),
         std::string(when) + " the device got a wrong byte at " + std::to_string(at) +
             (at < static_cast<std::ptrdiff_t>(got.size()) && got[static_cast<std::size_t>(at)] == '\xee'
                  ? ": one that was not ready"
                  : ""));
  expect(got.size() <= content.size(), std::string(when) + " the device got more bytes than the blob has");
}

void delivered(Gateway& gateway, Device& device, const OutFile& out, const char* when) {
  const auto code = device.wait(kTransfer);
  expect(code.has_value(), std::string(when) + " the device did not get its firmware within 40 s");
  const std::string got = out.bytes();
  expect_prefix(got, gateway.content(), when);
  expect(*code == 0, std::string(when) + " the device command failed with exit code " +
                         std::to_string(*code) + " after " + std::to_string(got.size()) + " of " +
                         std::to_string(gateway.content().size()) + " bytes");
  expect(got == gateway.content(), std::string(when) + " the device believes that it has all, but has " +
                                       std::to_string(got.size()) + " of " +
                                       std::to_string(gateway.content().size()) + " bytes");
}

void starts_and_stops(Subject& subject) {
  const auto once = [&] {
    Gateway gateway(subject, 8192, Fill::verified);
    gateway.start();
    gateway.finish();
  };
  once();
  const Resources before = Resources::now();
  for (int i = 0; i < 5; ++i) once();
  expect_released(before, "starting and stopping it");
}

void delivers(Subject& subject) {
  Gateway gateway(subject, size_for(subject), Fill::verified);
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  delivered(gateway, device, out, "from the cache");
  gateway.finish();
}

void follows_fill(Subject& subject) {
  Gateway gateway(subject, size_for(subject), Fill::slow);
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  // A transport that does not stream may send the device away until the blob is verified.
  const auto code = device.wait(kTransfer);
  expect(code.has_value(), "the device did not end within 40 s while the blob was being filled");
  expect_prefix(out.bytes(), gateway.content(), "while the blob was being filled");
  if (*code != 0) {
    expect((subject.transport().flags & OTAGATE_TRANSPORT_STREAMING) == 0,
           "the transport declares streaming, and the device command failed while the blob was being filled");
    expect(gateway.wait(kTransfer, [&] { return true; }), "");
    OutFile again;
    Device patient(subject, again.name());
    delivered(gateway, patient, again, "after the blob was filled");
  } else {
    expect(out.bytes() == gateway.content(),
           "the device believes that it has all of a blob that was being filled, but has not");
  }
  gateway.finish();
}

void fill_fails(Subject& subject) {
  Gateway gateway(subject, size_for(subject), Fill::fails);
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  const auto code = device.wait(kTransfer);
  expect(code.has_value(), "a device whose blob failed verification was still waiting after 40 s");
  const std::string got = out.bytes();
  expect(*code != 0 || got.size() != gateway.content().size(),
         "a device got all of a blob that failed verification");
  expect(*code != 0, "a device was told that it has all, of a blob that failed verification");
  if (!got.empty() && got.size() < 4096) {
    // An error page, not a part of the blob.
  } else {
    expect_prefix(got, gateway.content(), "of a blob that failed verification");
  }
  gateway.check_reports(false);
  gateway.finish();
}

void needs_offers(Gateway& gateway) {
  const bool offered = gateway.wait(milliseconds(0), [&] { return gateway.check_ins() > 0; });
  if (!offered) {
    gateway.finish();
    throw Skipped{"the device did not check in: it asked for the firmware by its name"};
  }
}

void takes_offer_once(Subject& subject) {
  Gateway gateway(subject, size_for(subject), Fill::verified);
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  delivered(gateway, device, out, "by its offer");
  needs_offers(gateway);
  expect(gateway.wait(milliseconds(5000),
                      [&] {
                        return !gateway.reports().empty() &&
                               gateway.reports().back().state >= OTAGATE_ATTEMPT_CONFIRMED;
                      }),
         "the device has its firmware, and no result was reported within 5 s");
  gateway.check_reports(true);
  {
    OutFile again;
    Device twice(subject, again.name());
    twice.wait(milliseconds(5000));
    expect(again.bytes().empty(), "a device that is up to date got bytes again");
  }
  gateway.check_reports(true);
  gateway.finish();
}

void nudges(Subject& subject) {
  Gateway gateway(subject, 8192, Fill::verified);
  gateway.start();
  const auto& table = subject.transport();
  if (!table.nudge) {
    gateway.finish();
    throw Skipped{"the transport cannot be nudged"};
  }
  const auto before = Clock::now();
  for (int i = 0; i < 100; ++i) {
    table.nudge(gateway.instance().self(), sdk::str(Gateway::kDevice));
    table.nudge(gateway.instance().self(), sdk::str("a device nobody has seen"));
  }
  expect(Clock::now() - before < std::chrono::seconds(2), "200 nudges took more than 2 s");
  gateway.finish();
}

void hints(Subject& subject) {
  Gateway gateway(subject, 8192, Fill::verified);
  gateway.start();
  const auto& table = subject.transport();
  if (table.catalog_changed)
    for (int i = 0; i < 10; ++i) table.catalog_changed(gateway.instance().self());
  if (table.revoke) table.revoke(gateway.instance().self(), 0x1234, OTAGATE_REVOKED_SUPERSEDED);
  if (table.reload) {
    auto call = std::make_shared<Call>();
    gateway.instance().call(call,
                            [&](otagate_call handle) { table.reload(gateway.instance().self(), handle); });
    expect(call->wait(milliseconds(5000)), "reload() did not complete within 5 s");
  }
  gateway.finish();
}

// Brings a transfer to its middle and keeps it there. False when it was over before that.
bool in_the_middle(Gateway& gateway, Device& device) {
  gateway.wait(kTransfer, [&] { return gateway.opened() > 0 || gateway.wants_verified(); });
  // A transport that streams may still want this blob verified first.
  if (!gateway.wait(milliseconds(0), [&] { return gateway.opened() > 0; })) gateway.go_on();
  expect(gateway.wait(kTransfer, [&] { return gateway.opened() > 0; }),
         "the device command never made the transport open the blob");
  device.freeze();
  return gateway.wait(milliseconds(500), [&] { return gateway.open_readers() > 0; }) &&
         !device.wait(milliseconds(100));
}

// Large enough that what lies in sockets on the way is little of it, where the blob does not have to be
// filled for the transfer to wait.
std::size_t size_to_interrupt(Subject& subject) {
  const bool streaming = (subject.transport().flags & OTAGATE_TRANSPORT_STREAMING) != 0;
  return static_cast<std::size_t>(subject.number("interrupt_size", streaming ? 4 << 20 : 32 << 20));
}
Fill fill_to_interrupt(Subject& subject) {
  return (subject.transport().flags & OTAGATE_TRANSPORT_STREAMING) != 0 ? Fill::half : Fill::verified;
}

void revoked(Subject& subject) {
  Gateway gateway(subject, size_to_interrupt(subject), fill_to_interrupt(subject));
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  const bool middle = in_the_middle(gateway, device);
  needs_offers(gateway);
  if (!middle) {
    device.kill();
    gateway.finish();
    throw Skipped{"the transfer was over before it could be interrupted"};
  }
  gateway.revoke(0xa77);
  std::size_t reports = 0;
  expect(gateway.wait(milliseconds(5000), [&] { return gateway.open_readers() == 0; }),
         "5 s after its attempt was revoked the transport still has the blob open");
  gateway.wait(milliseconds(0), [&] { return reports = gateway.reports().size(), true; });
  expect(!gateway.wait(milliseconds(1000), [&] { return gateway.reports().size() > reports; }),
         "progress was reported of an attempt that was revoked");
  device.kill();
  gateway.finish();
}

void unplugged(Subject& subject) {
  Gateway gateway(subject, size_to_interrupt(subject), fill_to_interrupt(subject));
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  const bool middle = in_the_middle(gateway, device);
  device.kill();
  if (!middle) {
    gateway.finish();
    throw Skipped{"the transfer was over before it could be interrupted"};
  }
  gateway.go_on();
  const milliseconds patience(subject.number("release_within_ms", 15'000));
  expect(gateway.wait(patience, [&] { return gateway.open_readers() == 0; }),
         std::to_string(patience.count()) +
             " ms after the device was unplugged the transport still has the blob open");
  bool confirmed = false;
  gateway.wait(milliseconds(500), [&] {
    for (const Report& report : gateway.reports()) confirmed |= report.state == OTAGATE_ATTEMPT_CONFIRMED;
    return confirmed;
  });
  expect(!confirmed, "the attempt of a device that was unplugged in the middle was reported as confirmed");
  gateway.check_reports(false);
  gateway.finish();
}

void stopped_midway(Subject& subject) {
  Gateway gateway(subject, size_to_interrupt(subject), fill_to_interrupt(subject));
  gateway.start();
  OutFile out;
  Device device(subject, out.name());
  if (!in_the_middle(gateway, device)) {
    device.kill();
    gateway.finish();
    throw Skipped{"the transfer was over before it could be interrupted"};
  }
  gateway.finish(milliseconds(2000));
  device.kill();
}

}  // namespace

std::vector<Check> transport_checks() {
  return {
      {"transport.start-stop", "starting and stopping leaves nothing behind", starts_and_stops},
      {"transport.delivers", "the device gets the blob, byte for byte", delivers},
      {"transport.fill", "nothing is sent that is not ready", follows_fill},
      {"transport.fill-fails", "no device gets all of a blob that fails verification", fill_fails},
      {"transport.offer", "an offer is taken once, progress is monotonic, one result", takes_offer_once},
      {"transport.nudge", "nudges of known and unknown devices", nudges},
      {"transport.hints", "catalog changes, reload, revocation of what is not there", hints},
      {"transport.revoke", "a revoked transfer ends, its reader is closed", revoked},
      {"transport.unplug", "a device that goes away in the middle leaves no reader open", unplugged},
      {"transport.stop", "stop() in the middle of a transfer ends in time and closes every reader",
       stopped_midway},
  };
}

}  // namespace otagate::kit

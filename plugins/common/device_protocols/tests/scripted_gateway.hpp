// A gateway that answers as a test says and keeps what it was asked.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

// What a CheckIn and a Progress borrow.
struct Asked {
  std::uint64_t principal = 0;
  std::string device{}, type{}, address{}, acting_for{};
  sdk::Pairs versions{}, attributes{};
  std::uint64_t deadline_ms = 0;
  bool midway = false;
};
struct Told {
  std::uint64_t attempt = 0;
  std::uint32_t state = 0, part = 0;
  std::uint64_t offset = 0;
  std::int32_t code = 0;
  std::string token{}, message{}, device{};
  std::uint64_t principal = 0;
};
struct ReadCall {
  std::uint64_t principal = 0, firmware = 0, offset = 0;
  std::uint32_t length = 0;
};

class ScriptedGateway final : public Gateway {
 public:
  std::vector<Asked> asked;
  std::vector<Told> told;
  std::vector<ReadCall> reads;

  // The answers in turn; the last one stays.
  std::deque<sdk::Outcome<sdk::Offer>> offers{sdk::Outcome<sdk::Offer>{}};
  std::deque<sdk::Outcome<std::uint32_t>> answers{sdk::Outcome<std::uint32_t>{}};
  std::optional<sdk::Outcome<std::string>> read_outcome;
  std::string image;

  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override {
    asked.push_back({who.principal, std::string(who.device), std::string(who.type), std::string(who.address),
                     std::string(who.acting_for), who.versions, who.attributes, who.deadline_ms, who.midway});
    done(next(offers));
  }
  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) override {
    told.push_back({report.attempt, report.state, report.part, report.offset, report.code,
                    std::string(report.resume_token), std::string(report.message), std::string(report.device),
                    report.principal});
    done(next(answers));
  }
  void read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset, std::uint32_t length,
            std::function<void(sdk::Outcome<std::string>)> done) override {
    reads.push_back({principal, firmware, offset, length});
    if (read_outcome) return done(*read_outcome);
    sdk::Outcome<std::string> out;
    if (offset < image.size()) out.value = image.substr(static_cast<std::size_t>(offset), length);
    done(std::move(out));
  }
  void old_digests(std::uint64_t, std::uint64_t,
                   std::function<void(sdk::Outcome<OldDigests>)> done) override {
    done({});
  }

 private:
  template <class T>
  static T next(std::deque<T>& script) {
    T out = script.front();
    if (script.size() > 1) script.pop_front();
    return out;
  }
};

template <class T>
sdk::Outcome<T> good(T value) {
  sdk::Outcome<T> out;
  out.value = std::move(value);
  return out;
}
template <class T>
sdk::Outcome<T> bad(std::uint32_t status, std::uint64_t retry_after_ms = 0, std::string message = {}) {
  sdk::Outcome<T> out;
  out.status = status;
  out.retry_after_ms = retry_after_ms;
  out.message = std::move(message);
  return out;
}

inline sdk::OfferPart part_of(std::string version, std::uint64_t size,
                              std::string component = "application") {
  sdk::OfferPart out;
  out.firmware = 7;
  out.component = std::move(component);
  out.name = "sensor";
  out.version = std::move(version);
  out.sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  out.size = size;
  return out;
}
inline sdk::Offer offer_of(std::vector<sdk::OfferPart> parts) {
  sdk::Offer out;
  out.attempt = 17;
  out.lease_ms = 60'000;
  out.parts = std::move(parts);
  return out;
}
inline sdk::Offer nothing_for(std::uint64_t next_after_ms) {
  sdk::Offer out;
  out.next_after_ms = next_after_ms;
  return out;
}

// The answer, which must have come exactly once and inline.
inline Response ask(const Protocol& protocol, const Request& request, Gateway& gateway) {
  std::vector<Response> got;
  protocol.handle(request, gateway, [&](Response response) { got.push_back(std::move(response)); });
  if (got.size() != 1) {
    Response none;
    none.status = 0;
    return none;
  }
  return std::move(got.front());
}

}  // namespace otagate::plugins::devices

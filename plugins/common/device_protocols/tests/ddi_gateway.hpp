// A gateway with one device's offer, for tests of the DDI resources: it notes what it is asked, and answers
// at once or, with `later`, when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

class DdiGateway final : public Gateway {
 public:
  struct Reported {
    std::uint64_t attempt;
    std::uint32_t state;
    std::uint32_t part;
    std::uint64_t offset;
    std::int32_t code;
    std::string message;
    std::uint64_t principal;
    std::string device;
  };
  struct Came {
    std::uint64_t principal;
    std::string device, type, address;
    sdk::Pairs versions, attributes;
  };

  // What it answers with.
  sdk::Outcome<sdk::Offer> offer;
  std::deque<sdk::Outcome<std::uint32_t>> progress_answers;  // then OTAGATE_CONTINUE
  sdk::Outcome<std::string> bytes;
  sdk::Outcome<OldDigests> digests;

  bool later = false;
  std::deque<std::function<void()>> waiting;

  std::vector<Came> came;
  std::vector<Reported> reported;
  std::vector<std::uint64_t> digested;

  DdiGateway() {
    digests.value = {"0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef"};
  }

  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override {
    came.push_back({who.principal, std::string(who.device), std::string(who.type), std::string(who.address),
                    who.versions, who.attributes});
    reply(std::move(done), offer);
  }
  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) override {
    reported.push_back({report.attempt, report.state, report.part, report.offset, report.code,
                        std::string(report.message), report.principal, std::string(report.device)});
    sdk::Outcome<std::uint32_t> answer;
    answer.value = OTAGATE_CONTINUE;
    if (!progress_answers.empty()) {
      answer = progress_answers.front();
      progress_answers.pop_front();
    }
    reply(std::move(done), answer);
  }
  void read(std::uint64_t, std::uint64_t, std::uint64_t offset, std::uint32_t length,
            std::function<void(sdk::Outcome<std::string>)> done) override {
    auto answer = bytes;
    answer.value = offset < answer.value.size() ? answer.value.substr(offset, length) : std::string();
    reply(std::move(done), answer);
  }
  void old_digests(std::uint64_t, std::uint64_t firmware,
                   std::function<void(sdk::Outcome<OldDigests>)> done) override {
    digested.push_back(firmware);
    reply(std::move(done), digests);
  }

  // Answers what waits, and what that asks for.
  void run() {
    while (!waiting.empty()) {
      auto next = std::move(waiting.front());
      waiting.pop_front();
      next();
    }
  }

 private:
  template <class T>
  void reply(std::function<void(sdk::Outcome<T>)> done, sdk::Outcome<T> outcome) {
    if (!later) return done(std::move(outcome));
    waiting.push_back([done = std::move(done), outcome = std::move(outcome)] { done(outcome); });
  }
};

}  // namespace otagate::plugins::devices

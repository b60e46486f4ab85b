// One status of one device and the way to its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "common/device_protocols/drogue/message.hpp"
#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices::drogue {

// Who asks, and how he is to be answered.
struct Asker {
  std::uint64_t principal = 0;
  std::string device;
  std::string type;
  std::string acting_for;
  std::string address;
  std::string component;
  std::uint64_t held_ms = 0;       // how long an answer without an offer may be held back
  std::uint32_t block_cap = 1024;  // at least 1
  std::uint32_t write_size = 4;    // at least 1
};

// How many bytes the block at `offset` has, of `left` that there are: what the device takes at once and what
// it may be given, a multiple of the write size unless it is the last.
std::uint32_t block_length(const Asker& asker, std::optional<std::uint32_t> mtu, std::uint64_t left);

// Whether the gateway is told about the block: some sixteen times in a small image, every 64 KiB in a large
// one.
bool worth_reporting(std::uint64_t offset, std::uint32_t length, std::uint64_t size);

// Keeps itself alive until it has responded. Carrier's thread.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Asker asker, Read read, Gateway& gateway, Respond respond);
  void start();

 private:
  using Offered = sdk::Outcome<sdk::Offer>;

  void check_in(std::string version, std::uint64_t held_ms, void (Exchange::*then)(Offered));
  void looked(Offered offered);
  void checked_in(Offered offered);
  void act();
  void send_block(std::uint64_t size, std::uint32_t offset);
  void read_block(std::uint64_t size, std::uint32_t offset, std::uint32_t length);
  void finish(std::uint64_t size);
  void swap();
  void give_up(const std::string& message);
  void report(std::uint32_t state, std::uint64_t offset, const std::string& token,
              std::function<void(bool go_on)> then);
  // Nothing to be done now. The next status after that time; 0: at once.
  void idle(std::uint64_t next_after_ms);
  void wait(std::uint64_t next_after_ms);
  void refuse(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message);
  void answer(Command command);

  bool transferring() const;
  const sdk::OfferPart& part() const { return offer_.parts.front(); }
  std::string wire() const;

  const Asker asker_;
  const Status status_;
  const Spelling spelling_;
  Gateway& gateway_;
  Respond respond_;
  sdk::Offer offer_;
  std::chrono::steady_clock::time_point asked_;
};

}  // namespace otagate::plugins::devices::drogue

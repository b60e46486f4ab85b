// Drogue: the device says what it runs and what it has, the gateway says what to do.
#include <algorithm>
#include <utility>

#include "drogue_codec.hpp"
#include "protocols.hpp"

namespace otagate::sim {
namespace {

// What a device's flash takes at once: its FirmwareManager refuses other blocks, but for the last one.
constexpr std::size_t kWriteSize = 4;
constexpr std::size_t kMaxVersion = 16;

class DrogueDevice final : public Device {
 public:
  DrogueDevice(Profile profile, DrogueFormat format) : Device(std::move(profile)), format_(format) {}

 private:
  Action speak() override;
  Action hear(const Reply& reply) override;
  // The offset of what the flash has is in the flash: only a crash that forgets it loses it.
  void restarted() override {
    if (image().offset() == 0) coming_.clear();
  }

  Action wait(const DrogueCommand& command);
  Action write(const DrogueCommand& command);
  Action do_swap(const DrogueCommand& command);

  DrogueFormat format_;
  std::uint32_t correlation_ = 0;
  std::string coming_;      // version of the update it has a part of
  bool unaligned_ = false;  // the last block was: it has to be the last
  bool refusing_ = false;   // it dropped the update as its dice said and has yet to say so
};

Action DrogueDevice::speak() {
  DrogueStatus status;
  status.version = version();
  status.mtu = habits().mtu;
  status.correlation_id = ++correlation_;
  if (!coming_.empty()) {
    status.update = DrogueStatus::Update{coming_, static_cast<std::uint32_t>(image().offset())};
  }
  Ask ask;
  ask.method = Method::post;
  ask.target = "/v1/dfu";
  char separator = '?';
  const auto parameter = [&](std::string_view key, const std::string& value) {
    ask.target += separator + std::string(key) + '=' + value;
    separator = '&';
  };
  if (habits().long_poll.count() > 0) {
    parameter("ct", std::to_string(habits().long_poll.count() / 1000));
    ask.patience = habits().long_poll + Milliseconds(15'000);
  }
  if (profile().token.empty()) {
    parameter("device", percent_encoded(profile().id));
  } else {
    ask.authorization = "Basic " + base64(profile().id + ':' + profile().token);
  }
  if (!profile().type.empty()) parameter("type", percent_encoded(profile().type));
  ask.content_type = format_ == DrogueFormat::json ? "application/json" : "application/cbor";
  ask.body = encode(status, format_);
  ask.check_in = true;
  return ask;
}

Action DrogueDevice::hear(const Reply& reply) {
  if (reply.status >= 500 || reply.status == 429) return back_off(reply.retry_after);
  if (!reply.ok()) {
    note("refused " + std::to_string(reply.status));
    return idle(reply.retry_after);
  }
  // Nothing within the time that the gateway had to answer.
  if (reply.body.empty()) return idle(Milliseconds(0));
  const auto command = decode_command(reply.body, reply.content_type.starts_with("application/json"));
  if (!command) {
    violation("a command that cannot be read: " + hex(std::string_view(reply.body).substr(0, 64)));
    return back_off();
  }
  if (command->correlation_id != correlation_) violation("the correlation id is not echoed");
  if (command->version.size() > kMaxVersion) {
    violation("a version of more than 16 bytes, which no device can keep: " + command->version);
    return back_off();
  }
  acknowledged();
  if (std::exchange(refusing_, false)) told_failure();
  switch (command->kind) {
    case DrogueCommand::Kind::wait: return wait(*command);
    case DrogueCommand::Kind::sync:
      if (command->version != version()) {
        violation("Sync with " + command->version + ", but it runs " + version());
      }
      return wait(*command);
    case DrogueCommand::Kind::write: return write(*command);
    case DrogueCommand::Kind::swap: return do_swap(*command);
  }
  return back_off();
}

Action DrogueDevice::wait(const DrogueCommand& command) {
  return idle(Milliseconds(std::min<std::uint64_t>(command.poll.value_or(0), 86'400) * 1000));
}

Action DrogueDevice::write(const DrogueCommand& command) {
  if (command.data.empty() || command.version.empty()) {
    violation("Write without data or version");
    return back_off();
  }
  if (command.data.size() > habits().mtu) {
    violation("a block of " + std::to_string(command.data.size()) + " bytes, beyond the mtu");
    return back_off();
  }
  if (command.offset == 0) {
    image().clear();
    unaligned_ = false;
  }
  if (command.offset != image().offset() || (command.offset != 0 && command.version != coming_)) {
    violation("Write at " + std::to_string(command.offset) + " of " + command.version + ", but it has " +
              std::to_string(image().offset()) + " of " + coming_);
    return back_off();
  }
  if (unaligned_) violation("a block after one that was no multiple of 4 bytes");
  if (command.version == version()) violation("Write of " + version() + ", which it runs");
  coming_ = command.version;
  start(coming_, std::nullopt, {});
  unaligned_ = command.data.size() % kWriteSize != 0;
  const auto pause = take(command.data);
  return pause ? *pause : speak();
}

Action DrogueDevice::do_swap(const DrogueCommand& command) {
  if (command.version != coming_ || image().offset() == 0) {
    violation("Swap to " + command.version + ", of which it has nothing");
    return back_off();
  }
  if (!verify(hex(command.checksum))) {
    drop("failed");
    coming_.clear();
    return back_off();
  }
  coming_.clear();
  if (fate().end == End::fails) {
    // The protocol has no word for it: the device starts again with what it runs.
    refusing_ = true;
    image().clear();
    return rest(habits().reboot / static_cast<Milliseconds::rep>(std::max(1.0, habits().time_scale)));
  }
  return swap();
}

}  // namespace

std::unique_ptr<Device> make_drogue_device(Profile profile, DrogueFormat format) {
  return std::make_unique<DrogueDevice>(std::move(profile), format);
}

}  // namespace otagate::sim

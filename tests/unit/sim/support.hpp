// What the tests of simulated devices share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <variant>

#include "device.hpp"

namespace otagate::sim {

inline std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

inline std::string sha256_of(std::string_view bytes) {
  Image image;
  image.append(bytes);
  return image.sha256();
}

// A device, and what is said to it in turn.
class Talk {
 public:
  explicit Talk(std::unique_ptr<Device> device)
      : device_(std::move(device)), action_(device_->begin(Milliseconds(0))) {}

  Device& device() { return *device_; }
  const Record& record() const { return device_->record(); }
  // What it asks; a failure if it does something else.
  const Ask& asks() {
    static const Ask nothing;
    const auto* ask = std::get_if<Ask>(&action_);
    EXPECT_NE(ask, nullptr) << "it does not ask";
    return ask != nullptr ? *ask : nothing;
  }
  Milliseconds rests() {
    const auto* rest = std::get_if<Rest>(&action_);
    EXPECT_NE(rest, nullptr) << "it does not rest";
    if (rest == nullptr) return Milliseconds(-1);
    const auto time = rest->time;
    now_ += time;
    action_ = device_->rested(now_);
    return time;
  }
  bool left() const { return std::holds_alternative<Leave>(action_); }
  bool resting() const { return std::holds_alternative<Rest>(action_); }
  void hears(int status, std::string body = {}, std::string type = "application/json") {
    Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    reply.content_type = std::move(type);
    now_ += Milliseconds(1);
    action_ = device_->answered(reply, now_);
  }
  void hears_nothing() { action_ = device_->unanswered("no answer", now_); }
  // The bytes of the range that it asks for.
  void gets(std::string_view image) {
    const auto range = asks().range.value_or(Range{});
    Reply reply;
    reply.status = 206;
    reply.total = image.size();
    reply.body = image.substr(range.offset, range.length);
    action_ = device_->answered(reply, now_);
  }

 private:
  std::unique_ptr<Device> device_;
  Milliseconds now_{0};
  Action action_;
};

inline Profile profile_of(const Habits& habits, End end = End::good) {
  Profile profile;
  profile.id = "sim-0";
  profile.type = "sensor";
  profile.version = "1.0.0";
  profile.fate.end = end;
  profile.habits = &habits;
  return profile;
}

}  // namespace otagate::sim

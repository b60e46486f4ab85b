// A device protocol that answers when the test says so, and a gateway that it does not use.
#pragma once

#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/device_protocols/protocol.hpp"

namespace otagate::coap {

namespace proto = plugins::devices;

// Serves /p and answers when the test says so.
class Scripted final : public proto::Protocol {
 public:
  struct Seen {
    proto::Method method;
    std::string path, query, content_type, accept, body, peer, base_url, device;
    std::uint64_t principal;
  };
  struct State {
    std::vector<Seen> seen;
    std::deque<proto::Respond> waiting;
    std::optional<proto::Response> at_once;
    bool throws = false;
  };
  explicit Scripted(State& state) : state_(state) {}
  std::string_view name() const override { return "scripted"; }
  bool serves(const std::vector<std::string>& path) const override { return path.front() == "p"; }
  void handle(const proto::Request& request, proto::Gateway&, proto::Respond respond) const override {
    std::string path, query;
    for (const auto& segment : request.path) path += "/" + segment;
    for (const auto& [key, value] : request.query) query += key + "=" + value + ";";
    state_.seen.push_back({request.method, path, query, std::string(request.content_type),
                           std::string(request.accept), std::string(request.body), std::string(request.peer),
                           std::string(request.base_url), std::string(request.principal_device),
                           request.principal});
    if (state_.throws) throw std::runtime_error("scripted");
    if (state_.at_once) return respond(*state_.at_once);
    state_.waiting.push_back(std::move(respond));
  }

 private:
  State& state_;
};

class NoGateway final : public proto::Gateway {
 public:
  void check_in(const sdk::CheckIn&, std::function<void(sdk::Outcome<sdk::Offer>)>) override {}
  void progress(const sdk::Progress&, std::function<void(sdk::Outcome<std::uint32_t>)>) override {}
  void read(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
            std::function<void(sdk::Outcome<std::string>)>) override {}
  void old_digests(std::uint64_t, std::uint64_t, std::function<void(sdk::Outcome<OldDigests>)>) override {}
};

}  // namespace otagate::coap

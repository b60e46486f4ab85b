// A transport that calls everything the gateway offers and says what came of it in events. The option
// "play" names what to do in start().
#include <unistd.h>
#include <otagate/cpp/transport.hpp>

namespace sdk = otagate::sdk;

class Chatty : public sdk::Transport {
 public:
  static constexpr bool kStreaming = true;
  explicit Chatty(sdk::TransportHost& host) : host_(host), play_(host.option("play").string("walk")) {}

  void start() override {
    if (play_ == "walk") walk();
    if (play_ == "errors") errors();
    if (play_ == "keep_reader") kept_ = host_.open({.firmware = 7});
    if (play_ == "bad_handles") bad_handles();
    if (play_ == "long_poll") {
      host_.check_in({.device = "slow", .deadline_ms = 60'000},
                     [this](sdk::Outcome<sdk::Offer> out) { say("long_poll", std::to_string(out.status)); });
      host_.timer(std::chrono::hours(1),
                  [this](sdk::Outcome<sdk::Nothing> out) { say("timer", std::to_string(out.status)); });
    }
    if (play_ == "timers") {
      host_.timer(std::chrono::milliseconds(10),
                  [this](sdk::Outcome<sdk::Nothing> out) { say("timer", std::to_string(out.status)); });
      const otagate_call call = host_.timer(std::chrono::hours(1), [this](sdk::Outcome<sdk::Nothing> out) {
        say("cancelled", std::to_string(out.status));
      });
      host_.cancel(call);
      host_.cancel(call);
    }
    if (play_ == "throw_in_reply")
      host_.timer(std::chrono::milliseconds(1),
                  [](sdk::Outcome<sdk::Nothing>) { throw sdk::Failure(OTAGATE_INTERNAL, "from a reply"); });
    if (play_ == "busy") host_.health(OTAGATE_BUSY, "port 1 is taken");
    if (play_ == "no_stop") ended_ = false;
  }
  void stop(std::chrono::milliseconds) override {
    if (play_ == "no_stop") ::pause();
    if (play_ != "leaks_reader") kept_.close();
    host_.interrupt();
  }
  void nudge(std::string_view device) override { say("nudge", device); }
  void revoke(std::uint64_t attempt, std::uint32_t reason) override {
    say("revoke", std::to_string(attempt) + ":" + std::to_string(reason));
  }
  void catalog_changed() override { say("catalog_changed", std::to_string(host_.catalog_version())); }

 private:
  void say(std::string_view kind, std::string_view message) {
    host_.event(OTAGATE_LOG_INFO, kind, "", message);
  }

  void walk() {
    const sdk::Principal who = host_.check_credential({OTAGATE_AUTH_BEARER, "", "token", "peer"});
    say("principal", std::to_string(who.id) + who.device + who.type);
    say("psk", host_.psk("identity").key);
    const sdk::Firmware firmware =
        host_.resolve({.principal = who.id, .name = "sensor", .version = "latest"});
    say("resolved", firmware.name + firmware.version + firmware.tag + std::to_string(firmware.size));
    const sdk::FirmwarePage page = host_.catalog({.limit = 5000});
    say("catalog", std::to_string(page.items.size()) + page.cursor);
    host_.presign(0, firmware.id, true, 100,
                  [this](sdk::Outcome<std::string> out) { say("presigned", out.value); });
    const sdk::Offer offer = host_.check_in(
        {.device = "d1", .type = "board", .versions = {{"main", "1.0"}}, .attributes = {{"rssi", "-60"}}});
    say("offer", std::to_string(offer.attempt) + ":" + std::to_string(offer.lease_ms) + ":" +
                     offer.parts.at(1).component + offer.parts.at(1).params.at(0).second);
    sdk::Reader reader =
        host_.open({.firmware = offer.parts[0].firmware, .peer = "peer", .verified_only = true});
    say("opened", reader.tag() + std::to_string(reader.size()) + ":" + std::to_string(reader.ready()) + ":" +
                      std::to_string(reader.state()));
    say("want", std::to_string(reader.want(10, 5, 1000)));
    char bytes[16] = {};
    const ssize_t got = ::pread(reader.fd(), bytes, sizeof bytes - 1, 0);
    say("read", std::string_view(bytes, got > 0 ? static_cast<std::size_t>(got) : 0));
    reader.report_bad("flipped");
    reader.close();
    say("progress",
        std::to_string(host_.progress({.attempt = offer.attempt, .offset = 100, .resume_token = "r1"})));
    say("final",
        std::to_string(host_.progress({.attempt = offer.attempt, .state = OTAGATE_ATTEMPT_CONFIRMED})));
    auto part = sdk::make_struct<otagate_offer_part>();
    say("part_after_end", std::to_string(host_.transport_table().offer_part(
                              host_.table().context, host_.instance(), offer.attempt, 0, &part)));
  }

  void errors() {
    host_.resolve({.name = "ambiguous"}, [this](sdk::Outcome<std::vector<sdk::Firmware>> out) {
      say("ambiguous", std::to_string(out.status) + ":" + std::to_string(out.value.size()));
    });
    host_.resolve({.name = "missing"}, [this](sdk::Outcome<std::vector<sdk::Firmware>> out) {
      say("missing",
          std::to_string(out.status) + ":" + out.message + ":" + std::to_string(out.retry_after_ms));
    });
    const std::string long_name(5000, 'n');
    host_.resolve({.name = long_name}, [this](sdk::Outcome<std::vector<sdk::Firmware>> out) {
      say("long", std::to_string(out.status));
    });
    const std::string token(300, 't');
    host_.progress({.attempt = 1, .resume_token = token},
                   [this](sdk::Outcome<std::uint32_t> out) { say("token", std::to_string(out.status)); });
  }

  void bad_handles() {
    const auto& table = host_.transport_table();
    table.blob_close(host_.table().context, host_.instance(), 12345);
    sdk::Reader reader = host_.open({.firmware = 7});
    const int fd = reader.fd();
    say("fd", fd >= 0 ? "good" : "bad");
    reader.want(0, 1u << 30, 60'000,
                [this](sdk::Outcome<std::uint64_t> out) { say("want", std::to_string(out.status)); });
    reader.close();
    sdk::Reader closed;
    closed.close();
  }

  sdk::TransportHost& host_;
  const std::string play_;
  sdk::Reader kept_;
  bool ended_ = true;
};

OTAGATE_PLUGIN(Chatty, .id = "chatty", .version = "1.0.0", .summary = "talks",
               .options_schema = R"({"type": "object"})")

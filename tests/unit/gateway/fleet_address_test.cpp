// Devices that say nothing of themselves and are known by where they are.
#include "fleet_support.hpp"

namespace otagate::gateway {
namespace {

class FleetByAddress : public FleetTest {
 protected:
  void put(const std::string& id, const std::string& transport, const std::string& address) {
    rollout::DeviceEdit device;
    device.id = id;
    device.type = "sensor";
    device.transport = transport;
    device.address = address;
    edit(device);
  }
  Result<plugin::Offer> somebody_at(std::string address, const std::string& transport = "coap") {
    plugin::CheckIn in;
    in.by_address = true;
    in.address = std::move(address);
    return wait<plugin::Offer>([&](auto reply) { fleet_->check_in(transport, anybody(), in, reply); });
  }
  std::string device_of(std::uint64_t attempt) { return fleet_->open_part(part_handle(attempt, 0))->device; }
};

TEST_F(FleetByAddress, TheDeviceThatIsRegisteredThereGetsItsAttempt) {
  add_firmware("app", "1.1.0");
  put("probe-1", "coap", "10.0.0.7");
  put("probe-2", "coap", "fe80::1");
  put("probe-3", "coap", "10.0.0.9:5683");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = state::must(somebody_at("10.0.0.7:40123"));
  ASSERT_NE(offer.attempt, 0U);
  EXPECT_EQ(device_of(offer.attempt), "probe-1");
  EXPECT_EQ(device("probe-1").address, "10.0.0.7:40123");
  // From another port it is the same one; so it is over IPv6 in its other spelling.
  EXPECT_EQ(state::must(somebody_at("10.0.0.7:40124")).attempt, offer.attempt);
  EXPECT_EQ(state::must(somebody_at("::ffff:10.0.0.7")).attempt, offer.attempt);
  EXPECT_EQ(device_of(state::must(somebody_at("[fe80::1]:5683")).attempt), "probe-2");
  EXPECT_EQ(device_of(state::must(somebody_at("10.0.0.9:1")).attempt), "probe-3");
  // Neither by another transport, nor from elsewhere, is it anybody; nobody is registered for it.
  for (const auto& [address, transport] :
       {std::pair("10.0.0.7:40123", "http"), std::pair("10.0.0.8:1", "coap"), std::pair("", "coap")})
    EXPECT_EQ(somebody_at(address, transport).error().code(), Code::not_found) << address;
  EXPECT_EQ(fleet_->counts().devices, 3U);
  restart();
  EXPECT_EQ(state::must(somebody_at("10.0.0.7:40125")).attempt, offer.attempt);
}

TEST_F(FleetByAddress, TwoAtOneAddressAreNobodyButByTheirPorts) {
  add_firmware("app", "1.1.0");
  put("probe-1", "coap", "10.0.0.7:1000");
  put("probe-2", "coap", "10.0.0.7:2000");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  EXPECT_EQ(somebody_at("10.0.0.7:3000").error().code(), Code::not_found);
  EXPECT_EQ(device_of(state::must(somebody_at("10.0.0.7:1000")).attempt), "probe-1");
  EXPECT_EQ(device_of(state::must(somebody_at("10.0.0.7:2000")).attempt), "probe-2");
  state::must(wait<void>([&](auto reply) { fleet_->remove_device("probe-2", reply); }));
  EXPECT_EQ(device_of(state::must(somebody_at("10.0.0.7:3000")).attempt), "probe-1");
  put("probe-1", "coap", "10.0.0.8");
  EXPECT_EQ(somebody_at("10.0.0.7:1000").error().code(), Code::not_found) << "it has moved";
}

// It can do better, so nobody gets at its attempt for less.
TEST_F(FleetByAddress, ADeviceWithACredentialOfItsOwnIsNotMeant) {
  put("probe-1", "coap", "10.0.0.7");
  EXPECT_TRUE(somebody_at("10.0.0.7:1"));
  state::must(wait<std::string>([&](auto reply) { fleet_->make_token("probe-1", reply); }));
  EXPECT_EQ(somebody_at("10.0.0.7:1").error().code(), Code::not_found);
  state::must(wait<void>([&](auto reply) { fleet_->revoke_token("probe-1", reply); }));
  EXPECT_TRUE(somebody_at("10.0.0.7:1"));
}

TEST_F(FleetByAddress, WhoSaysWhoHeIsIsNotLookedFor) {
  put("probe-1", "coap", "10.0.0.7");
  plugin::CheckIn in;
  in.by_address = true;
  in.address = "10.0.0.7:1";
  const auto refused = [&](std::shared_ptr<const Principal> by) {
    return wait<plugin::Offer>([&](auto reply) { fleet_->check_in("coap", by, in, reply); }).error().code();
  };
  EXPECT_EQ(refused(bound_to("probe-2")), Code::invalid);
  in.device = "probe-1";
  EXPECT_EQ(refused(anybody()), Code::invalid);
}

}  // namespace
}  // namespace otagate::gateway

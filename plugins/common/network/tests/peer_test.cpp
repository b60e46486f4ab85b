#include "common/network/peer.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace otagate::plugins {
namespace {

Peer peer(const std::string& text) {
  const auto listen = parse_listen(text);
  EXPECT_TRUE(listen) << text;
  return peer_of(reinterpret_cast<const sockaddr&>(listen->storage)).value();
}

TEST(Peer, IsTheSameOnEitherKindOfSocket) {
  EXPECT_EQ(peer("192.0.2.7:5683"), peer("[::ffff:192.0.2.7]:5683"));
  EXPECT_EQ(to_string(peer("[::ffff:192.0.2.7]:5683")), "192.0.2.7:5683");
  EXPECT_EQ(to_string(peer("[2001:db8::7]:1")), "[2001:db8::7]:1");
  EXPECT_FALSE(peer("192.0.2.7:5683") == peer("192.0.2.7:5684"));
}

TEST(ParseListen, TakesNumericAddressesOnly) {
  EXPECT_TRUE(parse_listen("0.0.0.0:0"));
  EXPECT_TRUE(parse_listen("[::]:5683"));
  for (const auto* text : {"", "5683", "localhost:5683", "::1:5683", "[127.0.0.1]:5683", "127.0.0.1",
                           "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "[]:1", "127.0.0.1:-1"}) {
    EXPECT_FALSE(parse_listen(text)) << text;
  }
}

TEST(NetworkSet, HoldsWhatItsPrefixesHold) {
  NetworkSet set;
  ASSERT_TRUE(set.add("10.20.0.0/14"));
  ASSERT_TRUE(set.add("2001:db8::/33"));
  ASSERT_TRUE(set.add("192.0.2.1"));
  EXPECT_TRUE(set.contains(peer("10.23.255.255:1")));
  EXPECT_FALSE(set.contains(peer("10.24.0.0:1")));
  EXPECT_TRUE(set.contains(peer("[2001:db8:7fff::]:1")));
  EXPECT_FALSE(set.contains(peer("[2001:db8:8000::]:1")));
  EXPECT_TRUE(set.contains(peer("192.0.2.1:9")));
  EXPECT_FALSE(set.contains(peer("192.0.2.2:9")));
}

TEST(NetworkSet, CanHoldAllOfOneFamily) {
  NetworkSet set;
  ASSERT_TRUE(set.add("0.0.0.0/0"));
  EXPECT_TRUE(set.contains(peer("203.0.113.9:1")));
  EXPECT_FALSE(set.contains(peer("[2001:db8::1]:1")));
}

TEST(NetworkSet, RefusesWhatIsNoNetwork) {
  NetworkSet set;
  for (const auto* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "::/129", "host/8", "/8"}) {
    EXPECT_FALSE(set.add(text)) << text;
  }
}

TEST(NetworkSet, TrustsLocalNetworksByDefault) {
  const auto local = NetworkSet::local();
  for (const auto* text : {"127.0.0.1:1", "[::1]:1", "169.254.3.4:1", "[fe80::1]:1", "10.1.2.3:1",
                           "172.31.0.1:1", "192.168.1.1:1", "[fd00::1]:1"}) {
    EXPECT_TRUE(local.contains(peer(text))) << text;
  }
  for (const auto* text : {"8.8.8.8:1", "172.32.0.1:1", "[2001:db8::1]:1", "192.169.0.1:1", "11.0.0.1:1"}) {
    EXPECT_FALSE(local.contains(peer(text))) << text;
  }
}

}  // namespace
}  // namespace otagate::plugins

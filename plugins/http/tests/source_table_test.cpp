#include "http/source_table.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cstring>

namespace otagate::http {
namespace {

Source source(const char* text) {
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
  } else {
    ADD_FAILURE() << text;
  }
  return source_of(storage);
}

TEST(SourceOf, AnIpv6PeerIsItsNetwork) {
  EXPECT_EQ(source("2001:db8::1"), source("2001:db8::ffff:2"));
  EXPECT_NE(source("2001:db8::1"), source("2001:db8:0:1::1"));
  EXPECT_NE(source("10.0.0.1"), source("10.0.0.2"));
  EXPECT_EQ(source("10.0.0.1"), source("::ffff:10.0.0.1"));
}

TEST(SourceTable, CountsConnections) {
  SourceTable table(2, 0);
  EXPECT_TRUE(table.connected(source("10.0.0.1")));
  EXPECT_TRUE(table.connected(source("10.0.0.1")));
  EXPECT_FALSE(table.connected(source("10.0.0.1")));
  EXPECT_TRUE(table.connected(source("10.0.0.2")));
  table.disconnected(source("10.0.0.1"));
  EXPECT_TRUE(table.connected(source("10.0.0.1")));
  EXPECT_FALSE(table.connected(source("10.0.0.1")));
}

TEST(SourceTable, ABucketHoldsTwoSecondsAndRefills) {
  SourceTable table(0, 5);
  const Source peer = source("10.0.0.1");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(table.take_request(peer, 1000)) << i;
  EXPECT_FALSE(table.take_request(peer, 1000));
  EXPECT_TRUE(table.take_request(source("10.0.0.2"), 1000));
  EXPECT_FALSE(table.take_request(peer, 1199));
  EXPECT_TRUE(table.take_request(peer, 1200));
  EXPECT_FALSE(table.take_request(peer, 1200));
}

// A million sources cost no memory, and one that is being held back does not get free by them.
TEST(SourceTable, StrangersDoNotWashOutABusySource) {
  SourceTable table(0, 1);
  const Source peer = source("10.0.0.1");
  EXPECT_TRUE(table.take_request(peer, 1000));
  EXPECT_TRUE(table.take_request(peer, 1000));
  for (std::uint64_t i = 0; i < 100000; ++i) table.take_request(Source{i + 1, 7}, 1000);
  EXPECT_FALSE(table.take_request(peer, 1000));
}

}  // namespace
}  // namespace otagate::http

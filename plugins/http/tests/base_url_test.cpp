#include "http/base_url.hpp"

#include <cstring>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace otagate::http {
namespace {

sockaddr_storage v4(const char* address, std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  inet_pton(AF_INET, address, &in.sin_addr);
  sockaddr_storage out{};
  std::memcpy(&out, &in, sizeof in);
  return out;
}

sockaddr_storage v6(const char* address, std::uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  inet_pton(AF_INET6, address, &in.sin6_addr);
  sockaddr_storage out{};
  std::memcpy(&out, &in, sizeof in);
  return out;
}

TEST(BaseUrl, ThePublicUrlBeatsTheHostBeatsTheAddress) {
  const auto local = v4("10.0.0.1", 8080);
  EXPECT_EQ(base_url("https://gw.example:8443", "other", local, false), "https://gw.example:8443");
  EXPECT_EQ(base_url("", "gw.local:8080", local, false), "http://gw.local:8080");
  EXPECT_EQ(base_url("", "gw.local", local, true), "https://gw.local");
  EXPECT_EQ(base_url("", "", local, false), "http://10.0.0.1:8080");
  EXPECT_EQ(base_url("", "a b", local, true), "https://10.0.0.1:8080");
  EXPECT_EQ(base_url("", "", v6("fd00::1", 80), false), "http://[fd00::1]:80");
}

TEST(ValidHost, TakesNamesAndAddressesOnly) {
  for (const char* host : {"a", "gw-1.example.org", "10.0.0.1", "10.0.0.1:8080", "[::1]", "[fd00::1]:8080",
                           "my_gateway:65535"}) {
    EXPECT_TRUE(valid_host(host)) << host;
  }
  for (const char* host :
       {"",       ":80",          "a:",        "a:0", "a:65536", "a:080808", "a:8x",    "a/b",  "a@b",
        "a b",    "a\tb",         "a\r\nX: y", "a?b", "a#b",     "a\\b",     "a%2fb",   "[::1", "::1",
        "[::1]x", "[::1%25eth0]", "[zz]",      ".",   "-a",      "a,b",      "\xc3\xa4"}) {
    EXPECT_FALSE(valid_host(host)) << host;
  }
  EXPECT_FALSE(valid_host(std::string(256, 'a')));
}

}  // namespace
}  // namespace otagate::http

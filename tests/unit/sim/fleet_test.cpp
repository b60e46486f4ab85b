#include "fleet.hpp"

#include <gtest/gtest.h>

namespace otagate::sim {
namespace {

TEST(ParseMix, NamesAndWeights) {
  std::string problem;
  const auto mix = parse_mix("poll=40,drogue-coap=20.5,ddi", problem);
  ASSERT_TRUE(mix) << problem;
  ASSERT_EQ(mix->size(), 3U);
  EXPECT_EQ((*mix)[0].protocol->name, "poll");
  EXPECT_EQ((*mix)[0].weight, 40);
  EXPECT_EQ((*mix)[1].weight, 20.5);
  EXPECT_EQ((*mix)[2].weight, 1);
}

TEST(ParseMix, SaysWhatIsWrong) {
  std::string problem;
  EXPECT_FALSE(parse_mix("mqtt=1", problem));
  EXPECT_NE(problem.find("drogue-coap"), std::string::npos) << problem;
  for (const auto* bad :
       {"poll=", "poll=x", "poll=-1", "poll=nan", "poll=inf", "", "poll=0", "poll=1;ddi=2"}) {
    problem.clear();
    EXPECT_FALSE(parse_mix(bad, problem)) << bad;
    EXPECT_FALSE(problem.empty()) << bad;
  }
}

TEST(ParseDuration, UnitsAndSums) {
  EXPECT_EQ(parse_duration("250ms"), Milliseconds(250));
  EXPECT_EQ(parse_duration("1m30s"), Milliseconds(90'000));
  EXPECT_EQ(parse_duration("2h"), Milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("0s"), Milliseconds(0));
  for (const auto* bad : {"", "5", "s", "-1s", "1x", "1s2", "99999999999999999999s", "9999999999d"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(ParseUrl, HostsPortsAndTargets) {
  const auto plain = parse_url("http://10.0.0.1:8080/a/b?c=d");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->address.host, "10.0.0.1");
  EXPECT_EQ(plain->address.port, "8080");
  EXPECT_EQ(plain->target, "/a/b?c=d");
  const auto six = parse_url("coap://[::1]");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->scheme, "coap");
  EXPECT_EQ(six->address.host, "::1");
  EXPECT_EQ(six->address.port, "5683");
  EXPECT_EQ(six->target, "/");
  EXPECT_EQ(parse_url("http://h?x")->target, "/?x");
  for (const auto* bad : {"", "http:/x", "ftp://h/", "http://", "http://:80", "http://h:x/", "http://h:/"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

}  // namespace
}  // namespace otagate::sim

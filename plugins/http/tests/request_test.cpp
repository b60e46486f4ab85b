#include "http/request.hpp"

#include <string>

#include <gtest/gtest.h>

namespace otagate::http {
namespace {

unsigned refusal(const std::string& head) {
  Request request;
  const auto problem = parse_request(head, request);
  return problem ? problem->status : 0;
}

TEST(FindHead, FindsTheEndHoweverTheBytesCome) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\nmore";
  std::size_t searched = 0;
  for (std::size_t n = 1; n < 27; ++n)
    ASSERT_EQ(find_head(std::string_view(head).substr(0, n), searched), 0U);
  EXPECT_EQ(find_head(head, searched), 27U);
}

TEST(ParseRequest, ReadsWhatTheTransportNeeds) {
  const std::string head =
      "GET /firmware/a/1?x=y HTTP/1.1\r\nHost: gw\r\nRange: bytes=0-1023\r\nIf-Range: \"t\"\r\n"
      "Authorization: Bearer z\r\nif-none-match: \"q\"\r\nConnection: keep-alive\r\n\r\n";
  Request request;
  ASSERT_FALSE(parse_request(head, request));
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_TRUE(request.http_1_1);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.has_body);
  EXPECT_EQ(request.target, "/firmware/a/1?x=y");
  EXPECT_EQ(request.host, "gw");
  EXPECT_EQ(request.range, "bytes=0-1023");
  EXPECT_EQ(request.authorization, "Bearer z");
  EXPECT_EQ(request.conditions.if_range, "\"t\"");
  EXPECT_EQ(request.conditions.if_none_match, "\"q\"");
}

TEST(ParseRequest, ReadsWhatDeviceProtocolsNeed) {
  const std::string head =
      "POST /v1/dfu HTTP/1.1\r\nHost: gw:8080\r\nContent-Type: application/cbor\r\nAccept: a/b\r\n"
      "Accept: c/d\r\nContent-Length: 3\r\n\r\n";
  Request request;
  ASSERT_FALSE(parse_request(head, request));
  EXPECT_EQ(request.host, "gw:8080");
  EXPECT_EQ(request.content_type, "application/cbor");
  EXPECT_EQ(request.accept, "a/b");
  EXPECT_EQ(request.content_length, 3U);
}

TEST(ParseRequest, KeepAliveByVersion) {
  Request request;
  ASSERT_FALSE(parse_request("GET / HTTP/1.0\r\n\r\n", request));
  EXPECT_FALSE(request.keep_alive);
  ASSERT_FALSE(parse_request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", request));
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.http_1_1);
  ASSERT_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", request));
  EXPECT_FALSE(request.keep_alive);
}

TEST(ParseRequest, TellsMethodsApart) {
  Request request;
  ASSERT_FALSE(parse_request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", request));
  EXPECT_EQ(request.method, Method::kHead);
  EXPECT_TRUE(only_reads(request.method));
  const std::pair<const char*, Method> changing[] = {
      {"POST", Method::kPost}, {"PUT", Method::kPut}, {"DELETE", Method::kDelete}};
  for (const auto& [name, method] : changing) {
    ASSERT_FALSE(parse_request(std::string(name) + " / HTTP/1.1\r\nHost: a\r\n\r\n", request));
    EXPECT_EQ(request.method, method);
    EXPECT_TRUE(may_change(request.method));
  }
  ASSERT_FALSE(parse_request("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", request));
  EXPECT_EQ(request.method, Method::kKnown);
  EXPECT_FALSE(may_change(request.method) || only_reads(request.method));
  ASSERT_FALSE(parse_request("get / HTTP/1.1\r\nHost: a\r\n\r\n", request));
  EXPECT_EQ(request.method, Method::kUnknown);
}

TEST(ParseRequest, ABodyIsNoticed) {
  Request request;
  ASSERT_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", request));
  EXPECT_TRUE(request.has_body);
  EXPECT_EQ(request.content_length, 5U);
  ASSERT_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", request));
  EXPECT_FALSE(request.has_body);
  EXPECT_TRUE(request.length_stated);
  ASSERT_FALSE(parse_request("POST / HTTP/1.1\r\nHost: a\r\n\r\n", request));
  EXPECT_FALSE(request.has_body);
  EXPECT_FALSE(request.length_stated);
  ASSERT_FALSE(parse_request(
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", request));
  EXPECT_TRUE(request.has_body);
  EXPECT_TRUE(request.expect_continue);
}

TEST(ParseRequest, RefusesWithTheRightStatus) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400U);  // no Host
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400U);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n"), 400U);
  EXPECT_EQ(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505U);
  EXPECT_EQ(refusal("PRI * HTTP/2.0\r\n\r\n"), 505U);
  EXPECT_EQ(refusal("GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414U);
  EXPECT_EQ(refusal("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501U);
  EXPECT_EQ(refusal("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501U);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"), 417U);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 100; ++i) many += "X: y\r\n";
  EXPECT_EQ(refusal(many + "\r\n"), 431U);
}

// What request smuggling is made of.
TEST(ParseRequest, RefusesAmbiguousFraming) {
  for (const char* fields :
       {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Content-Length: -1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 1 1\r\n",
        "Content-Length: 18446744073709551616\r\n", "Content-Length : 5\r\n", " Folded: 1\r\n",
        "A\x01: b\r\n", "A: b\rc\r\n",
        "A: b\x00"
        "c\r\n",
        "NoColon\r\n", ": empty\r\n", "X: a\r\n  folded\r\n"}) {
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n"), 400U) << fields;
  }
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nA: b" + std::string(1, '\0') + "c\r\n\r\n"), 400U);
  EXPECT_EQ(refusal("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400U);
  EXPECT_EQ(refusal("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(refusal("GET / \r\nHost: a\r\n\r\n"), 505U);
  EXPECT_EQ(refusal("\x16\x03\x01\x02\r\n\r\n"), 400U);
}

}  // namespace
}  // namespace otagate::http

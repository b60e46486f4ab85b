#include "common/http_client/url.hpp"

#include <gtest/gtest.h>

namespace otagate::common {
namespace {

TEST(PercentEncode, KeepsOnlyUnreservedBytes) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b/c+d%/ü.bin"), "a%20b%2Fc%2Bd%25%2F%C3%BC.bin");
  EXPECT_EQ(percent_encode("a b/c+d%/ü.bin", EncodeSlash::no), "a%20b/c%2Bd%25/%C3%BC.bin");
  EXPECT_EQ(percent_encode("!*'()=&?#"), "%21%2A%27%28%29%3D%26%3F%23");
  EXPECT_EQ(percent_encode(std::string("\0\xff", 2)), "%00%FF");
}

TEST(PercentDecode, IsTheReverse) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_decode("a+b%2Bc", Plus::space), "a b+c");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
}

TEST(PercentDecode, LeavesBrokenEscapesAsTheyAre) {
  EXPECT_EQ(percent_decode("%"), "%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%41"), "%zzA");
}

TEST(ParseUrl, TakesOriginApart) {
  const auto url = parse_url("https://S3.Example.COM/base/../x%20y");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "s3.example.com");
  EXPECT_EQ(url->authority(), "s3.example.com");
  EXPECT_EQ(url->origin(), "https://s3.example.com:443");
  EXPECT_EQ(url->path, "/base/../x%20y");
  EXPECT_FALSE(url->loopback());
}

TEST(ParseUrl, NamesThePortInTheAuthorityOnlyWhenItIsNotTheUsualOne) {
  EXPECT_EQ(parse_url("http://h:80/")->authority(), "h");
  EXPECT_EQ(parse_url("http://h:443/")->authority(), "h:443");
  EXPECT_EQ(parse_url("http://[::1]:9000")->authority(), "[::1]:9000");
}

TEST(ParseUrl, KnowsLoopbackByNameAndLiteral) {
  for (const char* url :
       {"http://localhost/", "http://b.s3.localhost:1/", "http://127.0.0.1/", "http://[::1]/"}) {
    EXPECT_TRUE(parse_url(url)->loopback()) << url;
  }
  for (const char* url : {"http://127.evil.example/", "http://localhost.example/", "http://10.0.0.1/"}) {
    EXPECT_FALSE(parse_url(url)->loopback()) << url;
  }
}

TEST(ParseUrl, RefusesOtherSchemesAndNonsense) {
  for (const char* url : {"", "ftp://h/", "file:///etc/passwd", "h/path", "https://", "https://a b/",
                          "http:h/p", "http://h\xc3\xbc/"}) {
    const auto parts = parse_url(url);
    ASSERT_FALSE(parts) << url;
    EXPECT_EQ(parts.error().status, OTAGATE_INVALID) << url;
  }
}

TEST(RedactedUrl, ShowsNeitherUserNorQuery) {
  EXPECT_EQ(redacted_url("https://user:pass@h:1/p?X-Amz-Signature=abc#f"), "https://h:1/p");
  EXPECT_EQ(redacted_url("http://user:p@ss@h"), "http://h");
  EXPECT_EQ(redacted_url("https://h/a@b"), "https://h/a@b");
}

TEST(Printable, KeepsUtf8AndNothingThatMovesACursor) {
  EXPECT_EQ(printable("a\r\nb\x1b[1m", 100), "a  b [1m");
  EXPECT_EQ(printable("\xff\xc3\xbc", 100), "?\xc3\xbc");
  EXPECT_EQ(printable("\xc3\xbc\xc3\xbc", 3), "\xc3\xbc");
}

TEST(ValidUtf8, TakesTextAndNothingElse) {
  for (const char* text : {"", "a", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
    EXPECT_TRUE(valid_utf8(text)) << text;
  for (const char* text : {"\xFF", "a\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80"})
    EXPECT_FALSE(valid_utf8(text)) << text;
}

}  // namespace
}  // namespace otagate::common

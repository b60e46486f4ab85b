#include "http/resource.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/head.hpp"
#include "http/problem.hpp"

namespace otagate::http {
namespace {

using testing::HasSubstr;
using testing::Not;

sdk::Firmware sample() {
  sdk::Firmware firmware;
  firmware.name = "app";
  firmware.version = "1.0.0+2";
  firmware.type = "board";
  firmware.store = "local";
  firmware.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  firmware.tag = "t";
  firmware.size = 5;
  firmware.modified_ms = 784111777123;
  firmware.verified = 3;
  return firmware;
}

TEST(EntityFields, AreCompleteAndSmall) {
  const std::string fields = entity_fields(sample(), false);
  EXPECT_EQ(fields,
            "Content-Type: application/octet-stream\r\nETag: \"t\"\r\n"
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n"
            "Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\r\n"
            "Content-Disposition: attachment; filename=\"app-1.0.0+2.bin\"\r\n");
  // An nRF client keeps head and payload in 2,048 bytes.
  EXPECT_LT(fields.size(), 400U);
}

TEST(EntityFields, LeaveOutWhatIsNotKnown) {
  sdk::Firmware firmware = sample();
  firmware.sha256.clear();
  firmware.modified_ms = 0;
  const std::string fields = entity_fields(firmware, true);
  EXPECT_THAT(fields, Not(HasSubstr("Repr-Digest")));
  EXPECT_THAT(fields, Not(HasSubstr("Last-Modified")));
  EXPECT_THAT(fields, Not(HasSubstr("Content-Type")));
}

TEST(EntityFields, AFileNameCannotBreakOut) {
  sdk::Firmware firmware = sample();
  firmware.name = "a\"; x=\"\xc3\xbc/..";
  const std::string fields = entity_fields(firmware, false);
  EXPECT_THAT(fields,
              HasSubstr("filename=\"a___x_____..-1.0.0+2.bin\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%BC"));
}

TEST(EntityFields, ATagOrNameThatCannotBeAHeaderIsLeftOut) {
  sdk::Firmware firmware = sample();
  firmware.tag = "a\r\nX: y";
  EXPECT_THAT(entity_fields(firmware, false), Not(HasSubstr("ETag")));
  firmware.tag = "a\"b";
  EXPECT_THAT(entity_fields(firmware, false), Not(HasSubstr("ETag")));
  firmware.name = std::string(200, 'n');
  EXPECT_THAT(entity_fields(firmware, false), Not(HasSubstr("Content-Disposition")));
}

TEST(Parts, AreFramedAsRfc9110Says) {
  EXPECT_EQ(part_head("B", 5, 10, 100),
            "\r\n--B\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 5-14/100\r\n\r\n");
  EXPECT_EQ(part_tail("B"), "\r\n--B--\r\n");
}

TEST(HeadWriter, NeverWritesBeyondItsBuffer) {
  char buffer[8] = "zzzzzzz";
  HeadWriter out(buffer, 4);
  out << "abc" << std::uint64_t{1234567} << "de";
  EXPECT_TRUE(out.overflowed());
  EXPECT_EQ(out.text(), "abc");
  EXPECT_EQ(buffer[4], 'z');
}

TEST(WriteStart, SaysWhatBecomesOfTheConnection) {
  char buffer[256];
  const auto start = [&](bool http_1_1, bool keep_alive, unsigned status) {
    HeadWriter out(buffer, sizeof buffer);
    HeadStart head;
    head.status = status;
    head.http_1_1 = http_1_1;
    head.keep_alive = keep_alive;
    write_start(out, head);
    return std::string(out.text());
  };
  EXPECT_EQ(start(true, true, 206), "HTTP/1.1 206 Partial Content\r\n");
  EXPECT_EQ(start(false, true, 200), "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n");
  EXPECT_EQ(start(true, false, 404), "HTTP/1.1 404 Not Found\r\nConnection: close\r\n");
}

TEST(ProblemBody, IsJson) {
  EXPECT_EQ(problem_body(Problem{404, "no \"such\" thing", 0}),
            "{\"error\":404,\"reason\":\"Not Found\",\"message\":\"no \\\"such\\\" thing\"}\n");
}

}  // namespace
}  // namespace otagate::http

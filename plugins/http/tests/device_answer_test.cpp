#include "http/device_answer.hpp"

#include <gtest/gtest.h>

namespace otagate::http {
namespace {

using plugins::devices::Response;

TEST(MediaType, IsLowerCaseWithoutParameters) {
  EXPECT_EQ(media_type(""), "");
  EXPECT_EQ(media_type("application/json"), "application/json");
  EXPECT_EQ(media_type(" Application/CBOR ; charset=\"a;b\""), "application/cbor");
}

TEST(AnswerFields, AreWrittenOutInFull) {
  Response response;
  EXPECT_EQ(answer_fields(response), "");
  response.content_type = "application/cbor";
  response.command = "dfu";
  response.retry_after = 30;
  response.headers = {{"Location", "http://gw/x"}, {"ETag", "\"a\""}};
  EXPECT_EQ(answer_fields(response),
            "Content-Type: application/cbor\r\ncommand: dfu\r\nRetry-After: 30\r\n"
            "Location: http://gw/x\r\nETag: \"a\"\r\n");
}

TEST(AnswerFields, NothingGetsOutOfItsLine) {
  for (const char* bad : {"a\r\nb", "a\nb", "a\rb", "a\x01", "a\x7f"}) {
    Response value;
    value.headers = {{"X", bad}};
    EXPECT_FALSE(answer_fields(value));
    Response type;
    type.content_type = bad;
    EXPECT_FALSE(answer_fields(type));
    Response command;
    command.command = bad;
    EXPECT_FALSE(answer_fields(command));
  }
  for (const char* bad : {"", "a b", "a:", "a\r\nb", "\xc3\xa4"}) {
    Response name;
    name.headers = {{bad, "x"}};
    EXPECT_FALSE(answer_fields(name)) << bad;
  }
}

TEST(AnswerFields, TheFramingIsTheConnections) {
  for (const char* name : {"Content-Length", "transfer-encoding", "Connection", "Date", "Upgrade"}) {
    Response response;
    response.headers = {{name, "1"}};
    EXPECT_FALSE(answer_fields(response)) << name;
  }
  for (const int status : {0, 100, 199, 600, -1}) {
    Response response;
    response.status = status;
    EXPECT_FALSE(answer_fields(response)) << status;
  }
}

}  // namespace
}  // namespace otagate::http

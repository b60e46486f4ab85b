#include "http/body.hpp"

#include <gtest/gtest.h>

namespace otagate::http {
namespace {

const std::string kSized = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const std::string kChunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

Request parsed(const std::string& head) {
  Request request;
  EXPECT_FALSE(parse_request(head, request));
  return request;
}

unsigned status_of(const std::optional<Problem>& problem) { return problem ? problem->status : 0; }

TEST(BodyProblem, JudgesBeforeAByteHasCome) {
  EXPECT_EQ(status_of(body_problem(parsed(kSized), true, 5)), 0U);
  EXPECT_EQ(status_of(body_problem(parsed(kSized), false, 4)), 413U);
  EXPECT_EQ(status_of(body_problem(parsed(kChunked), true, 0)), 0U);
  const std::string without = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(status_of(body_problem(parsed(without), true, 100)), 411U);
  EXPECT_EQ(status_of(body_problem(parsed(without), false, 100)), 0U);
}

TEST(BodyReader, LeavesWhatComesBehindTheBody) {
  BodyReader reader(kSized, 5, BodyReader::Keep::kYes);
  EXPECT_FALSE(reader.done());
  EXPECT_EQ(reader.feed("ab"), 2U);
  EXPECT_FALSE(reader.done());
  EXPECT_EQ(reader.feed("cdeGET /"), 3U);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.text(), "abcde");
}

TEST(BodyReader, UndoesChunksHoweverTheyCome) {
  const std::string bytes = "3;name=\"v\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nGET";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    BodyReader reader(kChunked, 13, BodyReader::Keep::kYes);
    std::size_t begin = 0;
    for (std::size_t end = step; !reader.done(); end = std::min(end + step, bytes.size())) {
      begin += reader.feed(std::string_view(bytes).substr(begin, end - begin));
      ASSERT_FALSE(reader.problem()) << step << ": " << reader.problem()->message;
    }
    EXPECT_EQ(reader.text(), "abc0123456789");
    EXPECT_EQ(bytes.substr(begin), "GET");
  }
}

TEST(BodyReader, KeepsNothingUnlessAsked) {
  BodyReader reader(kSized, 5, BodyReader::Keep::kNo);
  EXPECT_EQ(reader.feed("abcde"), 5U);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.text(), "");
}

TEST(BodyReader, KeepsTheLimitOverAllChunks) {
  BodyReader reader(kChunked, 4, BodyReader::Keep::kYes);
  reader.feed("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(reader.problem()), 413U);
  EXPECT_FALSE(reader.done());
  EXPECT_EQ(reader.text(), "abc");
}

TEST(BodyReader, RefusesChunksThatAreNone) {
  for (const char* bytes : {"x\r\n", "-1\r\n", "1\r\nabcd\r\n", "11111111111111111\r\n", "1 \r\n", "1;=\r\n",
                            "1\r\na\r\n0\r\nbad trailer\r\n\r\n", "\r\n"}) {
    BodyReader reader(kChunked, 1000, BodyReader::Keep::kNo);
    reader.feed(bytes);
    EXPECT_EQ(status_of(reader.problem()), 400U) << bytes;
    EXPECT_FALSE(reader.done());
  }
  std::string many = "0\r\n";
  for (int i = 0; i < 101; ++i) many += "T: x\r\n";
  BodyReader reader(kChunked, 1000, BodyReader::Keep::kNo);
  reader.feed(many + "\r\n");
  EXPECT_EQ(status_of(reader.problem()), 431U);
}

}  // namespace
}  // namespace otagate::http

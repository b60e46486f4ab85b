#include "coap.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace otagate::sim::coap {
namespace {

// RFC 7252, Appendix A, figures 16 and 19.
TEST(Message, IsWrittenAsInTheRfc) {
  Message get;
  get.code = code(0, 1);
  get.id = 0x7d34;
  get.add(option::kUriPath, "temperature");
  EXPECT_EQ(hex(encode(get)), "40017d34bb74656d7065726174757265");
  get.id = 0x7d35;
  get.token = std::string(1, '\x20');
  EXPECT_EQ(hex(encode(get)), "41017d3520bb74656d7065726174757265");
}

TEST(Message, IsReadAsInTheRfc) {
  const auto content = decode(from_hex("60457d34ff32322e332043"));
  ASSERT_TRUE(content);
  EXPECT_EQ(content->type, Type::ack);
  EXPECT_EQ(content->code, code(2, 5));
  EXPECT_EQ(content->id, 0x7d34);
  EXPECT_EQ(content->payload, "22.3 C");
}

TEST(Message, ReadsBackWhatWasWritten) {
  Message message;
  message.code = code(0, 2);
  message.id = 1;
  message.token = "abcdefgh";
  message.add(option::kDrogueAuthorization, std::string(300, 'a'));  // two-byte delta and length
  message.add(option::kUriPath, "v1");
  message.add(option::kUriPath, std::string(20, 'b'));  // one-byte length
  message.add_number(option::kContentFormat, kCbor);
  message.add_number(option::kBlock2, 0);
  message.add(option::kEcho, "e");
  message.payload = std::string("\0\xff", 2);
  const auto read = decode(encode(message));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->token, message.token);
  EXPECT_EQ(read->payload, message.payload);
  ASSERT_EQ(read->options.size(), 6U);
  EXPECT_EQ(read->options[0].second, "v1");  // in order, repeated ones as they were added
  EXPECT_EQ(read->options[1].second, std::string(20, 'b'));
  EXPECT_EQ(read->find_number(option::kContentFormat), kCbor);
  EXPECT_EQ(read->find_number(option::kBlock2), 0U);
  EXPECT_EQ(*read->find(option::kEcho), "e");
  EXPECT_EQ(*read->find(option::kDrogueAuthorization), std::string(300, 'a'));
}

TEST(Message, WhatIsMalformedIsRefused) {
  for (const auto* bad :
       {"", "40017d", "00017d34", "80017d34", "49017d34000000000000000000", "41017d34", "40017d34ff",
        "40017d34f0", "40017d340f", "40017d34d0", "40017d34e000", "40017d34b7", "40017d34e0fffee0ffff"}) {
    EXPECT_FALSE(decode(from_hex(bad))) << bad;
  }
}

// RFC 7959, section 2.2.
TEST(Block, IsTheNumberOfTheOption) {
  EXPECT_EQ(to_number({0, false, 6}), 0x06U);
  EXPECT_EQ(to_number({1, true, 2}), 0x1aU);
  const auto block = to_block(0x12345e);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->number, 0x12345U);
  EXPECT_TRUE(block->more);
  EXPECT_EQ(block->size(), 1024U);
  EXPECT_FALSE(to_block(7));
  EXPECT_FALSE(to_block(0x1000000));
}

}  // namespace
}  // namespace otagate::sim::coap

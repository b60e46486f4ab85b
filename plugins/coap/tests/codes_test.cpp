#include "codes.hpp"

#include <gtest/gtest.h>

#include "problem.hpp"

namespace otagate::coap {
namespace {

using plugins::devices::Method;

TEST(CodeOfStatus, SuccessGoesByMethodAndBody) {
  EXPECT_EQ(code_of_status(200, Method::post, true), code_of(2, 5));
  EXPECT_EQ(code_of_status(200, Method::get, true), code_of(2, 5));
  EXPECT_EQ(code_of_status(200, Method::post, false), code_of(2, 4));
  EXPECT_EQ(code_of_status(202, Method::post, false), code_of(2, 4));
  EXPECT_EQ(code_of_status(204, Method::put, false), code_of(2, 4));
  // 2.04 is no answer to a GET (RFC 7252, 5.9.1.4).
  EXPECT_EQ(code_of_status(204, Method::get, false), code_of(2, 5));
  EXPECT_EQ(code_of_status(204, Method::del, false), code_of(2, 2));
  EXPECT_EQ(code_of_status(201, Method::post, true), code_of(2, 1));
  EXPECT_EQ(code_of_status(304, Method::get, false), code_of(2, 3));
}

TEST(CodeOfStatus, ErrorsKeepTheirNumberWhereCoapHasIt) {
  const std::pair<int, std::uint8_t> cases[] = {
      {400, code_of(4, 0)},  {401, code_of(4, 1)},  {403, code_of(4, 3)},  {404, code_of(4, 4)},
      {405, code_of(4, 5)},  {406, code_of(4, 6)},  {409, code_of(4, 9)},  {410, code_of(4, 4)},
      {412, code_of(4, 12)}, {413, code_of(4, 13)}, {415, code_of(4, 15)}, {422, code_of(4, 22)},
      {429, code_of(4, 29)}, {418, code_of(4, 0)},  {499, code_of(4, 0)},  {500, code_of(5, 0)},
      {501, code_of(5, 1)},  {502, code_of(5, 2)},  {503, code_of(5, 3)},  {504, code_of(5, 4)},
      {507, code_of(5, 0)},  {307, code_of(5, 0)},  {0, code_of(5, 0)},    {-1, code_of(5, 0)},
  };
  for (const auto& [status, code] : cases)
    EXPECT_EQ(code_of_status(status, Method::post, true), code) << status;
}

TEST(ContentFormat, NumbersAndMediaTypesAgree) {
  for (const std::uint16_t number : {0, 40, 41, 42, 50, 60}) {
    EXPECT_EQ(content_format_of(media_type_of(number)), number);
  }
  EXPECT_EQ(media_type_of(60), "application/cbor");
  EXPECT_EQ(content_format_of("application/json; charset=utf-8"), 50);
  EXPECT_EQ(media_type_of(61), "");
  EXPECT_FALSE(content_format_of("image/png"));
  EXPECT_FALSE(content_format_of(""));
}

}  // namespace
}  // namespace otagate::coap

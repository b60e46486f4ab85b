#include "common/object_store/digests.hpp"

#include <gtest/gtest.h>

#include "common/testing/hex.hpp"

namespace otagate::common {
namespace {

// RFC 4648, section 10.
TEST(Base64, GoesBothWays) {
  const struct {
    const char* bytes;
    const char* text;
  } cases[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};
  for (const auto& c : cases) {
    EXPECT_EQ(to_base64(c.bytes), c.text);
    EXPECT_EQ(from_base64(c.text), c.bytes);
  }
}

TEST(Base64, TakesNothingElse) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9v\n", " Zm9", "Zm-_", "Zm=v"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

// RFC 4231, test case 2.
TEST(HmacSha256, IsThatOfTheRfc) {
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(testing::from_hex("00ff7f")), "00ff7f");
}

}  // namespace
}  // namespace otagate::common

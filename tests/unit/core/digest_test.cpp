#include "core/digest.hpp"

#include <gtest/gtest.h>

namespace otagate {
namespace {

TEST(Sha256, MatchesFips180Examples) {
  EXPECT_EQ(Sha256::of(std::string_view("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256::of(std::string_view()).hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, StartsAfreshAfterFinish) {
  Sha256 hash;
  hash.update("x");
  hash.finish();
  hash.update("abc");
  EXPECT_EQ(hash.finish(), Sha256::of(std::string_view("abc")));
}

TEST(Digest, ParsesOnlySixtyFourHexDigits) {
  const std::string hex(64, 'A');
  ASSERT_TRUE(Digest::parse(hex));
  EXPECT_EQ(Digest::parse(hex)->hex(), std::string(64, 'a'));
  EXPECT_EQ(Digest::parse("sha256:" + hex), Digest::parse(hex));
  EXPECT_FALSE(Digest::parse(hex.substr(1)));
  EXPECT_FALSE(Digest::parse(hex + "0"));
  EXPECT_FALSE(Digest::parse(std::string(63, 'a') + "g"));
  EXPECT_FALSE(Digest::parse(""));
}

}  // namespace
}  // namespace otagate

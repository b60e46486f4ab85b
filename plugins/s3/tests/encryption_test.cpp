#include "s3/encryption.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "otagate/storage.h"

namespace otagate::s3 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Encryption, OfNothingSaysNothing) {
  const auto none = Encryption::make("", "", "");
  ASSERT_TRUE(none);
  EXPECT_THAT(none->of_object(), IsEmpty());
  EXPECT_THAT(none->of_new_object(), IsEmpty());
}

TEST(Encryption, AKeyOfOursGoesWithEachRequest) {
  // 32 bytes of 'k'; the MD5 by openssl dgst.
  const auto made = Encryption::make("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "", "");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->has_customer_key());
  EXPECT_THAT(made->of_object(),
              ElementsAre(Pair("x-amz-server-side-encryption-customer-algorithm", "AES256"),
                          Pair("x-amz-server-side-encryption-customer-key",
                               "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="),
                          Pair("x-amz-server-side-encryption-customer-key-md5", "mT2HRsMGJ5IX5C+0rreZ8Q==")));
  EXPECT_THAT(made->of_new_object(), IsEmpty());
}

TEST(Encryption, TheServersOnlyWithWhatIsMade) {
  const auto made = Encryption::make("", "aws:kms", "key-1");
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->has_customer_key());
  EXPECT_THAT(made->of_object(), IsEmpty());
  EXPECT_THAT(made->of_new_object(),
              ElementsAre(Pair("x-amz-server-side-encryption", "aws:kms"),
                          Pair("x-amz-server-side-encryption-aws-kms-key-id", "key-1")));
}

TEST(Encryption, WhatCannotBeIsRefusedByOption) {
  EXPECT_EQ(Encryption::make("short", "", "").error().status, OTAGATE_INVALID);
  EXPECT_EQ(Encryption::make("a2tra2s=", "", "").error().status, OTAGATE_INVALID);
  EXPECT_EQ(Encryption::make("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "AES256", "").error().status,
            OTAGATE_INVALID);
  EXPECT_EQ(Encryption::make("", "AES256", "key-1").error().status, OTAGATE_INVALID);
}

}  // namespace
}  // namespace otagate::s3

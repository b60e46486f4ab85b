#include "core/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace otagate {
namespace {

TEST(Error, ContextGoesInFront) {
  EXPECT_EQ(Error(Code::invalid, "bad").with_context("x.toml:3").message(), "x.toml:3: bad");
}

TEST(Error, FullDiskIsItsOwnClass) {
  EXPECT_EQ(errno_error("write /x", ENOSPC).code(), Code::no_space);
  EXPECT_EQ(errno_error("write /x", EDQUOT).code(), Code::no_space);
  EXPECT_EQ(errno_error("write /x", EIO).code(), Code::permanent);
  EXPECT_EQ(errno_error("open /x", ENOENT).code(), Code::not_found);
  EXPECT_EQ(errno_error("open /x", EACCES).message(), "open /x: Permission denied");
}

}  // namespace
}  // namespace otagate

// What a test does where the machine lacks something it needs.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

// Skips with the reason; with CI=true, where everything has to be there, that is a failure instead.
#define OTAGATE_SKIP(reason)                                                                         \
  do {                                                                                               \
    const char* const otagate_ci = std::getenv("CI");                                                \
    if (otagate_ci != nullptr && std::string_view(otagate_ci) == "true")                             \
      FAIL() << "with CI=true nothing may be skipped: " << reason; /* NOLINT */                      \
    GTEST_SKIP() << reason;                                        /* NOLINT: a stream expression */ \
  } while (false)

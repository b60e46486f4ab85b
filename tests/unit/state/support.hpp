// What the tests of daemon/state share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "state/database.hpp"
#include "state/stores.hpp"

namespace otagate::state {

// A folder that goes with its owner.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "otagate-state-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<Database> open_or_die(const std::filesystem::path& path, Options options = {}) {
  auto db = Database::open(path, std::move(options));
  if (!db) {
    ADD_FAILURE() << db.error().error.message();
    std::abort();
  }
  return std::move(*db);
}

// The value of a Result that must be one; the test ends otherwise.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message();
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A database in a folder of its own, with two stores.
class StateTest : public testing::Test {
 protected:
  template <class Work>
  auto write(Work work) {
    return must(db_->write_sync(std::move(work)));
  }
  template <class Work>
  auto read(Work work) {
    return must(db_->read_sync(std::move(work)));
  }

  TempDir dir_;
  // Reads may take their time here: the machine that runs the tests is busy, and may be a sanitizer's.
  std::unique_ptr<Database> db_ = open_or_die(dir_ / "state.db", {.read_limit = std::chrono::minutes(1)});
  std::int64_t near_ = 0;  // priority 10
  std::int64_t far_ = 0;   // priority 0

  void SetUp() override {
    const StoreConfig configs[] = {{"near", "directory", 10}, {"far", "s3", 0}};
    const auto stores = write([&](Writer& w) { return set_stores(w, configs); });
    near_ = stores[0].id;
    far_ = stores[1].id;
  }
};

// Large counts follow OTAGATE_TEST_SCALE; sanitizers, which are ten times slower, get a tenth.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
inline int scaled(int count) {
  const char* text = std::getenv("OTAGATE_TEST_SCALE");
  const double scale = text != nullptr ? std::atof(text) : 1.0;
  return std::max(1000, static_cast<int>(count * std::min(scale, kSanitized ? 0.1 : 1.0)));
}

inline Digest digest_of(std::string_view text) { return Sha256::of(text); }

}  // namespace otagate::state

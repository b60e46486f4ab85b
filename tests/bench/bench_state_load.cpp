// links: otagate_state PkgConfig::SQLITE
// usage: bench_state_load ours|single FOLDER SECONDS
//
// Durable updates of one row each, spread over 10,000 rows. "ours": through state::Database with 1,000
// requests in flight, as that many devices checking in at once would have; prints "<rows/s> <p99 ms>".
// "single": plain SQLite with the same settings, one row per commit; prints "<rows/s>".
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <latch>
#include <string>
#include <vector>

#include "state/database.hpp"
#include "state/settings.hpp"

namespace {

using Clock = std::chrono::steady_clock;
namespace state = otagate::state;

constexpr int kRows = 10'000;
constexpr int kInFlight = 1000;

std::string row_name(int number) { return "device-" + std::to_string(number % kRows); }
const std::string kValue(60, 'v');

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

// Each of the kInFlight chains queues its next request when its last one is acknowledged.
int ours(const std::filesystem::path& folder, std::chrono::duration<double> duration) {
  auto db = state::Database::open(folder / "state.db");
  if (!db) die(db.error().error.message());
  std::vector<double> latencies;  // writer thread only, until all chains have ended
  std::latch ended(kInFlight);
  std::atomic<int> next = 0;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(duration);
  std::function<void()> request = [&] {
    const auto asked = Clock::now();
    if (asked >= end) return ended.count_down();
    (*db)->write(
        [name = row_name(next++)](state::Writer& w) { return state::put_setting(w, name, kValue); },
        [&, asked](const otagate::Result<void>& outcome) {
          if (!outcome) die(outcome.error().message());
          latencies.push_back(std::chrono::duration<double, std::milli>(Clock::now() - asked).count());
          request();
        });
  };
  // Started on the writer thread, so that only that one touches `latencies` and runs the chains.
  (*db)->write([](state::Writer&) -> otagate::Result<void> { return {}; },
               [&](const otagate::Result<void>&) {
                 for (int i = 0; i < kInFlight; ++i) request();
               });
  ended.wait();
  const std::chrono::duration<double> took = Clock::now() - start;
  const auto p99 = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
  std::nth_element(latencies.begin(), p99, latencies.end());
  std::printf("%.0f %.2f\n", static_cast<double>(latencies.size()) / took.count(), *p99);
  return 0;
}

int single(const std::filesystem::path& folder, std::chrono::duration<double> duration) {
  sqlite3* db = nullptr;
  sqlite3_stmt* put = nullptr;
  if (sqlite3_open((folder / "single.db").c_str(), &db) != SQLITE_OK ||
      sqlite3_exec(
          db,
          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
          "CREATE TABLE setting (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
          nullptr, nullptr, nullptr) != SQLITE_OK ||
      sqlite3_prepare_v2(db,
                         "INSERT INTO setting (key, value) VALUES (?, ?)"
                         " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                         -1, &put, nullptr) != SQLITE_OK)
    die(sqlite3_errmsg(db));
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(duration);
  int rows = 0;
  for (; Clock::now() < end; ++rows) {
    const std::string name = row_name(rows);
    sqlite3_bind_text(put, 1, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
    sqlite3_bind_text(put, 2, kValue.data(), static_cast<int>(kValue.size()), SQLITE_STATIC);
    if (sqlite3_step(put) != SQLITE_DONE) die(sqlite3_errmsg(db));
    sqlite3_reset(put);
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  std::printf("%.0f\n", rows / took.count());
  sqlite3_finalize(put);
  sqlite3_close(db);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) die("usage: bench_state_load ours|single FOLDER SECONDS");
  const std::chrono::duration<double> duration(std::atof(arguments[3]));
  const bool is_ours = std::string(arguments[1]) == "ours";
  return is_ours ? ours(arguments[2], duration) : single(arguments[2], duration);
}

// How the client prints: aligned tables, sizes and ages for people.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::cli {

// Columns as wide as their widest cell, two spaces apart; the header is left out without rows.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::FILE* out = stdout) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string format_bytes(std::uint64_t bytes);         // "3.5 MiB"
std::string format_duration(std::int64_t ms);          // "2 h 5 min"
std::string format_ago(std::int64_t then_ms);          // "12 s ago", "never" for 0
std::string format_time(std::int64_t wall_ms);         // "2026-11-21 09:30:12"
std::string progress_bar(double fraction, int width);  // "[#####.....]"

// Control characters and invalid bytes replaced: names come from stores, the terminal is not theirs.
std::string printable(std::string_view text);

// Columns of the terminal, 0 when stdout is not one.
int terminal_width();

}  // namespace otagate::cli

// Reads typed settings out of one table and collects all that is wrong with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/secret.hpp"
#include "core/problem.hpp"
#include "core/value.hpp"

namespace otagate::config {

// What all readers of one load share.
struct ReadContext {
  Problems& problems;
  Problems& warnings;
  bool read_secrets = true;
};

// Each getter leaves `out` alone when the key is absent and reports a problem when it is not usable.
// `path` is the table's own key path, "store.s3-main". Borrows everything; one thread.
class TableReader {
 public:
  // A null or absent table reads as an empty one; anything else but a table is a problem.
  TableReader(const Value* table, std::string path, ReadContext& context);

  bool has(std::string_view key) const { return table_ && table_->get(key); }
  const Location& where() const { return where_; }
  const std::string& path() const { return path_; }
  // Marks the key as known and hands the value out as it is.
  const Value* raw(std::string_view key);

  void boolean(std::string_view key, bool& out);
  void boolean(std::string_view key, std::optional<bool>& out);
  template <class Int>
  void integer(std::string_view key, Int& out, std::int64_t min, std::int64_t max) {
    if (const std::optional<std::int64_t> value = integer_in(key, min, max)) out = static_cast<Int>(*value);
  }
  void text(std::string_view key, std::string& out, std::size_t max = 1024);
  void path(std::string_view key, std::filesystem::path& out);
  void paths(std::string_view key, std::vector<std::filesystem::path>& out);
  // A list of texts; a single text counts as a list of one.
  void texts(std::string_view key, std::vector<std::string>& out, std::size_t max = 256);
  void duration(std::string_view key, std::chrono::milliseconds& out, std::chrono::milliseconds min,
                std::chrono::milliseconds max);
  template <class Int>
  void size(std::string_view key, Int& out, std::uint64_t min,
            std::uint64_t max = std::numeric_limits<std::int64_t>::max()) {
    if (const std::optional<std::uint64_t> value = size_in(key, min, max)) out = static_cast<Int>(*value);
  }
  void rate(std::string_view key, std::uint64_t& out);
  void endpoint(std::string_view key, std::optional<Endpoint>& out);
  // The index of the chosen word, nullopt when absent or wrong.
  std::optional<std::size_t> choice(std::string_view key, const std::vector<std::string>& words);
  // Reads where the secret lies, and the secret itself when the context asks for it.
  void secret(std::string_view key, Secret& out, SecretSource& source);

  void problem(std::string_view key, std::string message, std::string advice = {});
  void problem_at(const Value& value, std::string_view key, std::string message, std::string advice = {});
  // Reports every key that no getter asked for. Call it last.
  void done();

 private:
  const Value* want(std::string_view key, bool fits, const Value* value, std::string_view advice);
  std::optional<std::int64_t> integer_in(std::string_view key, std::int64_t min, std::int64_t max);
  std::optional<std::uint64_t> size_in(std::string_view key, std::uint64_t min, std::uint64_t max);
  std::string key_path(std::string_view key) const;
  void absolute(const Value& value, std::string_view key, std::filesystem::path& out);

  const Value* table_ = nullptr;
  std::string path_;
  Location where_;
  ReadContext& context_;
  std::vector<std::string> known_;
};

// `{ file = "..." }`, `{ credential = "..." }` or `{ env = "..." }`. The message of an error never
// contains what was written, since that may be the secret itself.
Result<SecretSource> parse_secret_source(const Value& value);

// "host:port" with an address literal.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace otagate::config

// As much of CBOR (RFC 8949) as Drogue's protocol needs, on the device's side: a writer for definite items
// and a reader that is handed a whole answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otagate::sim {

class CborWriter {
 public:
  void map(std::uint64_t entries) { head(5, entries); }
  void number(std::uint64_t value) { head(0, value); }
  void text(std::string_view value);
  void bytes(std::string_view value);
  void null() { out_ += static_cast<char>(0xF6); }
  std::string take() { return std::move(out_); }

 private:
  void head(unsigned major, std::uint64_t value);
  std::string out_;
};

// Reads forward; after the first malformed item ok() is false and everything else is nothing.
class CborReader {
 public:
  explicit CborReader(std::string_view data) : data_(data) {}
  bool ok() const { return ok_; }
  bool at_end() const { return data_.empty(); }

  // Number of entries.
  std::uint64_t map();
  // A key that is a number or a text.
  struct Key {
    std::optional<std::uint64_t> number;
    std::string_view text;
  };
  Key key();
  std::optional<std::uint64_t> number_or_null();
  std::string_view bytes();
  void skip(int depth = 0);

 private:
  struct Head {
    unsigned major = 7;
    unsigned info = 0;
    std::uint64_t value = 0;
  };
  Head head();
  std::string_view cut(std::uint64_t length);
  void fail() {
    ok_ = false;
    data_ = {};
  }

  std::string_view data_;
  bool ok_ = true;
};

}  // namespace otagate::sim

// Builds response heads in a buffer of the caller. Pure.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace otagate::http {

// Appends to a fixed buffer. What does not fit is left out and overflowed() says so.
class HeadWriter {
 public:
  HeadWriter(char* buffer, std::size_t capacity) : begin_(buffer), at_(buffer), end_(buffer + capacity) {}

  HeadWriter& operator<<(std::string_view text) {
    if (text.size() > static_cast<std::size_t>(end_ - at_)) {
      overflowed_ = true;
    } else {
      std::memcpy(at_, text.data(), text.size());
      at_ += text.size();
    }
    return *this;
  }
  HeadWriter& operator<<(std::uint64_t number) {
    const auto [next, error] = std::to_chars(at_, end_, number);
    if (error == std::errc{}) {
      at_ = next;
    } else {
      overflowed_ = true;
    }
    return *this;
  }

  std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }
  std::string_view text() const { return {begin_, size()}; }
  bool overflowed() const { return overflowed_; }

 private:
  char* const begin_;
  char* at_;
  char* const end_;
  bool overflowed_ = false;
};

// What the first lines of every answer need.
struct HeadStart {
  unsigned status = 200;
  std::string_view date;   // kDateSize bytes, or empty: no Date
  bool http_1_1 = true;    // of the request
  bool keep_alive = true;  // false adds Connection: close; true for HTTP/1.0 adds keep-alive
};

// Status line, Date and Connection. An answer is HTTP/1.1 whatever the request was (RFC 9112 section 2.3).
void write_start(HeadWriter& out, const HeadStart& start);

}  // namespace otagate::http

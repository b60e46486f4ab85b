// The files of a layer, one after the other, out of a stream that may be compressed (gzip, zstd). libarchive
// behind a bound; nothing is ever written to a path.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct archive;

namespace otagate::oci {

inline constexpr std::uint64_t kMaxUnpacked = 4ull
                                              << 30;  // bytes of one layer, whatever they are packed into
inline constexpr std::size_t kMaxMembers = 100'000;

class TarReader {
 public:
  // `pull` gives the next bytes, valid until its next call; empty: the end. It may throw.
  using Pull = std::function<std::string_view()>;

  struct Member {
    std::string path;        // without "./" and "/" before it
    std::uint64_t size = 0;  // of a regular file
    bool regular = false;
  };

  explicit TarReader(Pull pull);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // What follows throws sdk::Failure: OTAGATE_PERMANENT for what is no archive or breaks a bound; and
  // whatever `pull` throws.
  std::optional<Member> next();
  // The next bytes of the present member, valid until the next call; empty: its end.
  std::string_view read();

 private:
  struct Close {
    void operator()(archive* handle) const;
  };
  [[noreturn]] void refuse(const std::string& why);
  void unpacked(std::uint64_t bytes);

  const Pull pull_;
  std::unique_ptr<archive, Close> archive_;
  std::exception_ptr failure_;  // of pull: it must not cross libarchive's frames
  std::vector<char> buffer_;
  std::uint64_t unpacked_ = 0;
  std::size_t members_ = 0;
};

}  // namespace otagate::oci

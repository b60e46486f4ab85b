// The NDJSON index files of a Cumulocity firmware bucket: c8y-firmware-info.json ({"name",
// "description", "deviceType"}) and c8y-firmware-versions.json ({"key", "name", "version"}), read line
// by line as they arrive.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "firmware/metadata.hpp"

namespace otagate::firmware {

inline constexpr std::size_t kMaxIndex = 16 << 20;      // bytes of a file
inline constexpr std::size_t kMaxIndexLine = 64 << 10;  // bytes of a line

struct IndexProblem {
  std::size_t line = 0;  // from 1
  std::string reason;
};

// Cuts a stream into lines and parses each; one thread, one file. Empty lines and lines that begin
// with '#' are skipped; a bad line is reported and skipped.
class IndexFile {
 public:
  virtual ~IndexFile() = default;

  // The next piece, cut anywhere. Fails (Code::invalid) once the file is over kMaxIndex bytes.
  Result<void> feed(std::string_view piece);
  // After the last piece: takes a last line without newline.
  void finish();

  // The first kMaxProblems of them; problem_count() has them all.
  const std::vector<IndexProblem>& problems() const { return problems_; }
  std::size_t problem_count() const { return problem_count_; }
  static constexpr std::size_t kMaxProblems = 100;

 protected:
  IndexFile() = default;
  IndexFile(const IndexFile&) = default;
  IndexFile& operator=(const IndexFile&) = default;
  IndexFile(IndexFile&&) noexcept = default;
  IndexFile& operator=(IndexFile&&) noexcept = default;

 private:
  // The reason why the line is bad, "" when it is good.
  virtual std::string take(std::string_view line, std::size_t number) = 0;
  void line_done(std::string_view line);
  void problem(std::string reason);

  std::string partial_;
  bool overlong_ = false;
  std::size_t line_ = 0;
  std::size_t bytes_ = 0;
  std::vector<IndexProblem> problems_;
  std::size_t problem_count_ = 0;
};

// c8y-firmware-info.json: firmware by name.
class FirmwareIndex : public IndexFile {
 public:
  struct Entry {
    std::string description;
    std::string type;  // "" when not given
  };
  const Entry* find(std::string_view name) const;
  std::size_t size() const { return entries_.size(); }

 private:
  std::string take(std::string_view line, std::size_t number) override;
  std::map<std::string, Entry, std::less<>> entries_;
};

// c8y-firmware-versions.json: objects by key.
class VersionIndex : public IndexFile {
 public:
  struct Entry {
    std::string name;
    std::string version;
  };
  const Entry* find(std::string_view key) const;
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

 private:
  std::string take(std::string_view line, std::size_t number) override;
  std::map<std::string, Entry, std::less<>> entries_;
};

// What both files together say about an object; nothing when the key is not in the index. A version
// whose name is not in the firmware file has no type.
std::optional<Claim> claim_from_index(const FirmwareIndex& firmware, const VersionIndex& versions,
                                      std::string_view key);

}  // namespace otagate::firmware

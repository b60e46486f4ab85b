// Version strings and their order: Semantic Versioning 2.0, and MCUboot's "+build" number, which
// compares last. Everything else is unordered.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

namespace otagate::firmware {

// How much a string looks like a version; later is better.
enum class VersionShape {
  none,
  integer,   // "42"
  dotted,    // "2023.01", "1.2.3.4", "2023.01-rc2"
  semantic,  // "1.2.3-rc.1+7"
};

// Drops one leading 'v' or 'V' that stands before a digit.
std::string_view normalise(std::string_view version);

// The shape of the whole text, a leading "v" allowed. Texts over kMaxVersion bytes have none.
VersionShape shape(std::string_view version);
inline bool is_semantic(std::string_view version) { return shape(version) == VersionShape::semantic; }

// "1.2.3-rc.1" is one; a version that is not semantic never is.
bool is_prerelease(std::string_view version);

// By semver.org section 11, then by a numeric build ("1.2.3" is "1.2.3+0"). Other build texts do not
// count. Unordered unless both are semantic; equal normalised texts are equivalent whatever they are.
std::partial_ordering compare(std::string_view a, std::string_view b);

// "The device runs it": equal normalised texts, or semantic versions that are equal with their build.
bool same(std::string_view a, std::string_view b);

// Reads a version byte by byte and says after each one what was read so far looks like: for finding
// where a version ends. No allocation. Does not take a leading "v".
class VersionScanner {
 public:
  VersionShape next(char c);
  // True when no further byte can make a version of it.
  bool dead() const { return semantic_ == Semantic::dead && plain_ == Plain::dead; }

 private:
  enum class Semantic { core, prerelease, build, dead };
  enum class Plain { digits, suffix, dead };
  bool semantic_step(char c);
  VersionShape plain_step(char c);
  bool core_step(char c);
  void start_identifier() { identifier_ = Identifier{}; }

  // The number or dot-separated identifier that is being read.
  struct Identifier {
    std::size_t length = 0;
    bool numeric = true;
    bool leading_zero = false;
  };
  std::size_t length_ = 0;
  Semantic semantic_ = Semantic::core;
  Identifier identifier_;
  int core_dots_ = 0;
  Plain plain_ = Plain::digits;
  int plain_dots_ = 0;
  std::size_t plain_digits_ = 0;  // since the last dot
};

}  // namespace otagate::firmware

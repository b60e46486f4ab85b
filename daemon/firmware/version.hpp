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

// Feeds `text` byte by byte and says after each one the shape of what was read so far: for finding
// where a version ends. No allocation; stops to say anything but none once the text cannot go on.
class VersionScanner {
 public:
  // The shape of all bytes so far, and dead() when no further byte can make a version.
  VersionShape next(char c);
  bool dead() const { return semantic_ == Semantic::dead && plain_ == Plain::dead; }

 private:
  enum class Semantic { core, prerelease, build, dead };
  enum class Plain { digits, suffix, dead };
  VersionShape semantic_step(char c);
  VersionShape plain_step(char c);
  bool end_prerelease_identifier() const;

  std::size_t length_ = 0;
  Semantic semantic_ = Semantic::core;
  int parts_ = 0;           // complete numbers of the core
  std::size_t digits_ = 0;  // of the current number or identifier
  bool leading_zero_ = false;
  bool numeric_ = true;  // the current identifier has digits only
  Plain plain_ = Plain::digits;
  int dots_ = 0;
  std::size_t plain_digits_ = 0;
};

}  // namespace otagate::firmware

#include "firmware/version.hpp"

#include <algorithm>
#include <array>

#include "firmware/identity.hpp"

namespace otagate::firmware {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// A semantic version taken apart; the views are into the text.
struct Parts {
  std::array<std::string_view, 3> core;
  std::string_view prerelease, build;
};

// Only for texts that are semantic.
Parts take_apart(std::string_view version) {
  Parts parts;
  if (const std::size_t plus = version.find('+'); plus != std::string_view::npos) {
    parts.build = version.substr(plus + 1);
    version = version.substr(0, plus);
  }
  if (const std::size_t dash = version.find('-'); dash != std::string_view::npos) {
    parts.prerelease = version.substr(dash + 1);
    version = version.substr(0, dash);
  }
  for (std::string_view& number : parts.core) {
    const std::size_t dot = version.find('.');
    number = version.substr(0, dot);
    version = dot == std::string_view::npos ? std::string_view{} : version.substr(dot + 1);
  }
  return parts;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), digit);
}

// Of any size: numbers in versions are bounded by the text's length only.
std::strong_ordering compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a <=> b;
}

std::strong_ordering compare_prerelease(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.empty() <=> b.empty();  // a release is above its pre-releases
  while (true) {
    const std::size_t a_dot = a.find('.'), b_dot = b.find('.');
    const std::string_view left = a.substr(0, a_dot), right = b.substr(0, b_dot);
    const bool left_number = all_digits(left), right_number = all_digits(right);
    const std::strong_ordering order = left_number && right_number   ? compare_numbers(left, right)
                                       : left_number != right_number ? right_number <=> left_number
                                                                     : left <=> right;
    if (order != 0) return order;
    const bool a_ends = a_dot == std::string_view::npos, b_ends = b_dot == std::string_view::npos;
    if (a_ends || b_ends) return b_ends <=> a_ends;  // more identifiers are higher
    a.remove_prefix(a_dot + 1);
    b.remove_prefix(b_dot + 1);
  }
}

// MCUboot's build number; a version without one has build 0. Other texts do not count.
std::string_view build_number(std::string_view build) { return all_digits(build) ? build : "0"; }

}  // namespace

std::string_view normalise(std::string_view version) {
  if (version.size() > 1 && (version[0] == 'v' || version[0] == 'V') && digit(version[1]))
    version.remove_prefix(1);
  return version;
}

// major "." minor "." patch, each without leading zeros.
bool VersionScanner::core_step(char c) {
  if (digit(c)) {
    if (identifier_.leading_zero) {
      semantic_ = Semantic::dead;
      return false;
    }
    identifier_.leading_zero = identifier_.length == 0 && c == '0';
    ++identifier_.length;
    return core_dots_ == 2;
  }
  const bool complete = core_dots_ == 2 && identifier_.length > 0;
  if (c == '.' && core_dots_ < 2 && identifier_.length > 0)
    ++core_dots_;
  else if (c == '-' && complete)
    semantic_ = Semantic::prerelease;
  else if (c == '+' && complete)
    semantic_ = Semantic::build;
  else
    semantic_ = Semantic::dead;
  start_identifier();
  return false;
}

bool VersionScanner::semantic_step(char c) {
  if (semantic_ == Semantic::dead) return false;
  if (semantic_ == Semantic::core) return core_step(c);
  // Numeric pre-release identifiers have no leading zeros; build identifiers may.
  const bool valid = identifier_.length > 0 && (semantic_ == Semantic::build || !identifier_.numeric ||
                                                !identifier_.leading_zero || identifier_.length == 1);
  if (digit(c) || letter(c) || c == '-') {
    if (identifier_.length == 0) identifier_.leading_zero = c == '0';
    identifier_.numeric = identifier_.numeric && digit(c);
    ++identifier_.length;
    return semantic_ == Semantic::build || !identifier_.numeric || !identifier_.leading_zero ||
           identifier_.length == 1;
  }
  if (c == '+' && semantic_ == Semantic::prerelease && valid)
    semantic_ = Semantic::build;
  else if (c != '.' || !valid)
    semantic_ = Semantic::dead;
  start_identifier();
  return false;
}

// "42", "2023.01", "1.2.3.4", "2023.01-rc2", "4.2rc1": digits and dots, then perhaps a suffix, which
// needs a dot before it ("4-uboot" is no version) and does not begin with one ("1.2.bin" is none).
VersionShape VersionScanner::plain_step(char c) {
  const auto reached = [&] { return plain_dots_ > 0 ? VersionShape::dotted : VersionShape::integer; };
  if (plain_ == Plain::digits) {
    if (digit(c)) {
      ++plain_digits_;
      return reached();
    }
    if (c == '.' && plain_digits_ > 0) {
      ++plain_dots_;
      plain_digits_ = 0;
      return VersionShape::none;
    }
    const bool begins_suffix = letter(c) || c == '-' || c == '+' || c == '~';
    plain_ = begins_suffix && plain_dots_ > 0 && plain_digits_ > 0 ? Plain::suffix : Plain::dead;
    return plain_ == Plain::suffix && letter(c) ? VersionShape::dotted : VersionShape::none;
  }
  if (plain_ == Plain::suffix) {
    if (digit(c) || letter(c)) return VersionShape::dotted;
    if (c != '.' && c != '-' && c != '+' && c != '~') plain_ = Plain::dead;
  }
  return VersionShape::none;
}

VersionShape VersionScanner::next(char c) {
  if (++length_ > kMaxVersion) {
    semantic_ = Semantic::dead;
    plain_ = Plain::dead;
  }
  const bool semantic = semantic_step(c);
  const VersionShape plain = plain_step(c);
  return semantic ? VersionShape::semantic : plain;
}

VersionShape shape(std::string_view version) {
  VersionScanner scanner;
  VersionShape result = VersionShape::none;
  for (const char c : normalise(version)) {
    if (scanner.dead()) return VersionShape::none;
    result = scanner.next(c);
  }
  return result;
}

bool is_prerelease(std::string_view version) {
  version = normalise(version);
  return is_semantic(version) && !take_apart(version).prerelease.empty();
}

std::partial_ordering compare(std::string_view a, std::string_view b) {
  a = normalise(a);
  b = normalise(b);
  if (a == b) return std::partial_ordering::equivalent;
  if (!is_semantic(a) || !is_semantic(b)) return std::partial_ordering::unordered;
  const Parts left = take_apart(a), right = take_apart(b);
  for (std::size_t i = 0; i < left.core.size(); ++i)
    if (const auto order = compare_numbers(left.core[i], right.core[i]); order != 0) return order;
  if (const auto order = compare_prerelease(left.prerelease, right.prerelease); order != 0) return order;
  return compare_numbers(build_number(left.build), build_number(right.build));
}

bool same(std::string_view a, std::string_view b) {
  a = normalise(a);
  b = normalise(b);
  if (a == b) return true;
  if (compare(a, b) != std::partial_ordering::equivalent) return false;
  // Equal in order; builds that are texts ("1.0.0+abc", "1.0.0+def") still tell two versions apart.
  const auto known = [](std::string_view build) { return build.empty() || all_digits(build); };
  return known(take_apart(a).build) && known(take_apart(b).build);
}

}  // namespace otagate::firmware

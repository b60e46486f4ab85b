#include "firmware/pattern.hpp"

#include <algorithm>
#include <bitset>
#include <utility>

#include "firmware/identity.hpp"
#include "firmware/version.hpp"

namespace otagate::firmware {

namespace {

constexpr std::size_t kMaxPattern = 256;  // bytes

// A set of positions in a key, its end included.
using Positions = std::bitset<kMaxKey + 1>;

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text) {
  std::size_t at = 0;
  const auto wrong = [&](const std::string& why) {
    return fail(Code::invalid, "the pattern \"" + std::string(text.substr(0, kMaxPattern)) + "\" " + why +
                                   " (at character " + std::to_string(at + 1) + ")");
  };
  if (text.empty()) return wrong("is empty; write for example \"{type}/{name}-{version}.bin\"");
  if (text.size() > kMaxPattern) return wrong("is longer than 256 bytes");
  if (text.front() == '/') return wrong("begins with a slash; keys do not, so leave it out");

  Pattern pattern;
  pattern.text_ = std::string(text);
  std::vector<Part>& parts = pattern.parts_;
  const auto literal = [&](char c) {
    if (parts.empty() || parts.back().kind != Kind::literal) parts.push_back({Kind::literal, ""});
    parts.back().literal += c;
  };
  const auto variable = [&](Kind kind) {
    if (!parts.empty() && parts.back().kind != Kind::literal && parts.back().kind != Kind::folders)
      return false;
    parts.push_back({kind, ""});
    return true;
  };
  const auto has = [&](Kind kind) {
    return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return part.kind == kind; });
  };
  static constexpr std::string_view kAdjacent =
      "has two fields side by side, and nothing tells where one ends; put a character between them";

  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("{{") || rest.starts_with("}}")) {
      literal(rest.front());
      at += 2;
    } else if (rest.front() == '}') {
      return wrong("has a } without its {; write }} for the character itself");
    } else if (rest.starts_with("**")) {
      if (!rest.starts_with("**/") || (at > 0 && text[at - 1] != '/'))
        return wrong("uses ** other than as a folder; write **/ at the beginning or after a slash");
      if (has(Kind::folders)) return wrong("has **/ twice");
      parts.push_back({Kind::folders, ""});
      at += 3;
    } else if (rest.front() == '*') {
      if (!variable(Kind::any)) return wrong(std::string(kAdjacent));
      ++at;
    } else if (rest.front() == '{') {
      const std::size_t end = rest.find('}');
      if (end == std::string_view::npos)
        return wrong("has a { without its }; write {{ for the character itself");
      const std::string_view field = rest.substr(1, end - 1);
      static constexpr std::pair<std::string_view, Kind> kFields[] = {
          {"name", Kind::name}, {"type", Kind::type}, {"version", Kind::version}, {"any", Kind::any}};
      const auto known = std::find_if(std::begin(kFields), std::end(kFields),
                                      [&](const auto& entry) { return entry.first == field; });
      if (known == std::end(kFields))
        return wrong("has an unknown field {" + std::string(field) +
                     "}; use {name}, {version}, {type} or {any}");
      if (known->second != Kind::any && has(known->second))
        return wrong("has {" + std::string(field) + "} twice; write {any} for the second");
      if (!variable(known->second)) return wrong(std::string(kAdjacent));
      at += end + 1;
    } else {
      literal(rest.front());
      ++at;
    }
  }
  if (!has(Kind::name) && !has(Kind::version)) return wrong("has neither {name} nor {version}");
  return pattern;
}

// One run over one key. Parts before {version} are followed forwards and parts behind it backwards, so
// that every place where {version} could stand is known before any is chosen: nothing is tried twice.
struct Pattern::Matcher {
  const std::vector<Part>& parts;
  std::string_view key;

  // Where part `i` can end if it begins at one of `from`.
  Positions forward(const Part& part, const Positions& from) const {
    Positions to;
    bool any_before = false;
    for (std::size_t p = 0; p <= key.size(); ++p) {
      const bool slash_before = p > 0 && key[p - 1] == '/';
      switch (part.kind) {
        case Kind::literal:
          if (from[p] && key.substr(p).starts_with(part.literal)) to.set(p + part.literal.size());
          break;
        case Kind::any: to[p] = from[p] || (p > 0 && !slash_before && to[p - 1]); break;
        case Kind::folders: to[p] = from[p] || (slash_before && any_before); break;
        default: to[p] = p > 0 && !slash_before && (from[p - 1] || to[p - 1]); break;
      }
      any_before = any_before || from[p];
    }
    return to;
  }

  // Where part `i` can begin if it has to end at one of `to`, within [0, end).
  Positions backward(const Part& part, const Positions& to, std::size_t end) const {
    Positions from;
    bool folder_behind = false;
    for (std::size_t p = end + 1; p-- > 0;) {
      const bool slash = p < end && key[p] == '/';
      switch (part.kind) {
        case Kind::literal:
          from[p] = key.substr(p, end - p).starts_with(part.literal) && to[p + part.literal.size()];
          break;
        case Kind::any: from[p] = to[p] || (p < end && !slash && from[p + 1]); break;
        case Kind::folders:
          folder_behind = folder_behind || (slash && to[p + 1]);
          from[p] = to[p] || folder_behind;
          break;
        default: from[p] = p < end && !slash && (to[p + 1] || from[p + 1]); break;
      }
    }
    return from;
  }

  // Matches parts [first, last) against exactly key[begin, end), each field as short as possible.
  bool assign(std::size_t first, std::size_t last, std::size_t begin, std::size_t end,
              PatternMatch& out) const {
    std::vector<Positions> open(last - first + 1);
    open.back().set(end);
    for (std::size_t i = last; i-- > first;) open[i - first] = backward(parts[i], open[i - first + 1], end);
    if (!open.front()[begin]) return false;
    std::size_t at = begin;
    for (std::size_t i = first; i < last; ++i) {
      const Part& part = parts[i];
      const Positions& ends = open[i - first + 1];
      std::size_t stop = at;
      if (part.kind == Kind::literal) {
        stop += part.literal.size();
      } else if (part.kind == Kind::folders) {
        while (!ends[stop] || (stop > at && key[stop - 1] != '/')) ++stop;
      } else {
        if (part.kind != Kind::any) ++stop;
        while (!ends[stop]) ++stop;
      }
      const std::string_view text = key.substr(at, stop - at);
      if (part.kind == Kind::name) out.name = std::string(text);
      if (part.kind == Kind::type) out.type = std::string(text);
      at = stop;
    }
    return true;
  }

  // The best place of {version}, part `v`: [first, second), a leading "v" included.
  std::optional<std::pair<std::size_t, std::size_t>> version_place(std::size_t v) const {
    Positions starts, ends;
    starts.set(0);
    for (std::size_t i = 0; i < v; ++i) starts = forward(parts[i], starts);
    ends.set(key.size());
    for (std::size_t i = parts.size(); i-- > v + 1;) ends = backward(parts[i], ends, key.size());
    std::optional<std::pair<std::size_t, std::size_t>> best;
    VersionShape best_shape = VersionShape::none;
    for (std::size_t p = key.size(); p-- > 0;) {
      if (!starts[p]) continue;
      const std::string_view number = normalise(key.substr(p));
      VersionScanner scanner;
      for (std::size_t q = key.size() - number.size(); q < key.size() && !scanner.dead();) {
        const VersionShape now = scanner.next(key[q++]);
        if (!ends[q] || now == VersionShape::none) continue;
        const bool longer = best && best->first == p && now == best_shape;
        if (now > best_shape || longer) {
          best = {p, q};
          best_shape = now;
        }
      }
    }
    return best;
  }
};

std::optional<PatternMatch> Pattern::match(std::string_view key) const {
  if (key.size() > kMaxKey) return std::nullopt;
  const Matcher matcher{parts_, key};
  PatternMatch out;
  const auto version =
      std::find_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.kind == Kind::version; });
  const auto v = static_cast<std::size_t>(version - parts_.begin());
  if (version == parts_.end()) {
    if (!matcher.assign(0, parts_.size(), 0, key.size(), out)) return std::nullopt;
    return out;
  }
  const auto place = matcher.version_place(v);
  if (!place || !matcher.assign(0, v, 0, place->first, out) ||
      !matcher.assign(v + 1, parts_.size(), place->second, key.size(), out))
    return std::nullopt;
  out.version = std::string(normalise(key.substr(place->first, place->second - place->first)));
  return out;
}

std::optional<PatternMatch> match_first(const std::vector<Pattern>& patterns, std::string_view key) {
  for (const Pattern& pattern : patterns)
    if (std::optional<PatternMatch> match = pattern.match(key)) return match;
  return std::nullopt;
}

}  // namespace otagate::firmware

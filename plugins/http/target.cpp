#include "http/target.hpp"

#include <cstdint>
#include <optional>

namespace otagate::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  if (!valid_text(out)) return std::nullopt;
  return out;
}

tl::unexpected<Problem> bad(std::string message) {
  return tl::unexpected<Problem>(Problem{400, std::move(message), 0});
}

tl::expected<void, Problem> parse_query(std::string_view raw, Target& target) {
  while (!raw.empty()) {
    const std::size_t end = raw.find('&');
    const std::string_view pair = raw.substr(0, end);
    raw.remove_prefix(end == std::string_view::npos ? raw.size() : end + 1);
    if (pair.empty()) continue;
    if (target.query.size() == kMaxParameters) return bad("the query has more than 32 parameters");
    const std::size_t equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals), true);
    auto value =
        percent_decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
    if (!name || !value) {
      return bad(
          "the query is not percent-encoded UTF-8 text: encode '%' as %25 and control characters not at all");
    }
    target.query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

}  // namespace

std::string_view Target::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

tl::expected<Target, Problem> parse_target(std::string_view raw) {
  if (raw.starts_with("http://") || raw.starts_with("https://")) {
    const std::size_t slash = raw.find('/', raw.find("//") + 2);
    raw = slash == std::string_view::npos ? std::string_view("/") : raw.substr(slash);
  }
  if (!raw.starts_with('/')) return bad("the request target must be a path such as /firmware");
  Target target;
  if (const std::size_t mark = raw.find('?'); mark != std::string_view::npos) {
    if (auto parsed = parse_query(raw.substr(mark + 1), target); !parsed) {
      return tl::unexpected<Problem>(std::move(parsed.error()));
    }
    raw = raw.substr(0, mark);
  }
  raw.remove_prefix(1);
  if (raw.ends_with('/')) raw.remove_suffix(1);
  if (raw.empty()) return target;
  for (bool more = true; more;) {
    const std::size_t slash = raw.find('/');
    more = slash != std::string_view::npos;
    auto segment = percent_decode(raw.substr(0, slash), false);
    if (more) raw.remove_prefix(slash + 1);
    if (!segment) return bad("the path is not percent-encoded UTF-8 text");
    if (segment->empty() || *segment == "." || *segment == "..") {
      return bad("the path has an empty, '.' or '..' segment");
    }
    if (target.segments.size() == kMaxSegments) return bad("the path has more than 16 segments");
    target.segments.push_back(std::move(*segment));
  }
  return target;
}

bool valid_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x20 || lead == 0x7f) return false;
    std::size_t length = 1;
    std::uint32_t point = lead;
    std::uint32_t least = 0;
    if (lead >= 0x80) {
      if ((lead & 0xe0) == 0xc0) {
        length = 2, point = lead & 0x1f, least = 0x80;
      } else if ((lead & 0xf0) == 0xe0) {
        length = 3, point = lead & 0x0f, least = 0x800;
      } else if ((lead & 0xf8) == 0xf0) {
        length = 4, point = lead & 0x07, least = 0x10000;
      } else {
        return false;
      }
      if (i + length > text.size()) return false;
      for (std::size_t k = 1; k < length; ++k) {
        const auto next = static_cast<unsigned char>(text[i + k]);
        if ((next & 0xc0) != 0x80) return false;
        point = point << 6 | (next & 0x3f);
      }
      if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace otagate::http

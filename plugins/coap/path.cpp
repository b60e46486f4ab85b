#include "path.hpp"

#include <algorithm>
#include <charconv>

namespace otagate::coap {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Names reach log lines and the host as text: NUL and broken UTF-8 end here.
bool is_text(std::string_view text) { return text.find('\0') == std::string_view::npos && is_utf8(text); }

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    std::uint32_t code = lead;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xC2 && lead < 0xE0) {
      more = 1;
      code = lead & 0x1FU;
    } else if (lead >= 0xE0 && lead < 0xF0) {
      more = 2;
      code = lead & 0x0FU;
    } else if (lead >= 0xF0 && lead < 0xF5) {
      more = 3;
      code = lead & 0x07U;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0U) != 0x80U) return false;
      code = code << 6 | (byte & 0x3FU);
    }
    const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

void PathParser::clear() {
  segment_count_ = 0;
  first_segment_ = 0;
  query_count_ = 0;
  percent_from_ = kMaxQueries;
  scratch_used_ = 0;
}

bool PathParser::add_segment(std::string_view segment) {
  if (segment_count_ == kMaxSegments || segment.size() > kMaxOption) return false;
  segments_[segment_count_++] = segment;
  return true;
}

bool PathParser::add_query(std::string_view query) {
  if (query_count_ == kMaxQueries || query.size() > kMaxOption) return false;
  queries_[query_count_++] = query;
  return true;
}

void PathParser::take_query_of_last_segment() {
  auto& last = segments_[segment_count_ - 1];
  const auto mark = last.find('?');
  if (mark == std::string_view::npos) return;
  auto rest = last.substr(mark + 1);
  last = last.substr(0, mark);
  percent_from_ = query_count_;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    if (!add_query(rest.substr(0, end))) return;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

std::string_view PathParser::decoded(std::string_view text) {
  if (text.find('%') == std::string_view::npos) return text;
  if (scratch_.size() - scratch_used_ < text.size()) return text;
  char* const start = scratch_.data() + scratch_used_;
  std::size_t length = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i > 2 && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      start[length++] = static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      start[length++] = text[i];
    }
  }
  scratch_used_ += length;
  return {start, length};
}

bool PathParser::query(std::size_t index, std::string_view& out) {
  if (index >= query_count_) return false;
  out = index >= percent_from_ ? decoded(queries_[index]) : queries_[index];
  return true;
}

bool PathParser::apply(Target& target, std::string_view query) {
  const auto equals = query.find('=');
  if (equals == std::string_view::npos) return true;
  const auto key = query.substr(0, equals);
  const auto value = query.substr(equals + 1);
  if (!is_text(value)) {
    target.problem = "a query holds bytes that are no UTF-8 text";
    return false;
  }
  const bool catalog = target.resource == Resource::kCatalog;
  if (key == "type") {
    target.type = value;
  } else if (catalog && key == "name") {
    target.name = value;
  } else if (catalog && key == "store") {
    target.store = value;
  } else if (catalog && key == "cursor") {
    target.cursor = value;
  } else if (catalog && key == "limit") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), target.limit);
    if (error != std::errc{} || end != value.data() + value.size() || target.limit == 0 ||
        target.limit > kMaxPage) {
      target.problem = "limit must be a number from 1 to 1000";
      return false;
    }
  }
  return true;
}

Target PathParser::target() {
  Target target;
  // "/firmware/" and "//firmware" name what "/firmware" names; clients differ in what they make of
  // a URL's slashes.
  while (segment_count_ > 0 && segments_[segment_count_ - 1].empty()) --segment_count_;
  std::size_t first = 0;
  while (first < segment_count_ && segments_[first].empty()) ++first;
  first_segment_ = first;
  if (first == segment_count_) return target;
  take_query_of_last_segment();

  const auto segments = std::span(segments_).subspan(first, segment_count_ - first);
  for (const auto segment : segments) {
    if (!is_text(segment)) {
      target.problem = "the path holds bytes that are no UTF-8 text";
      return target;
    }
  }
  const auto count = segments.size();
  if (segments[0] == "firmware" && count == 1) {
    target.resource = Resource::kCatalog;
  } else if (segments[0] == "firmware" && (count == 3 || count == 4)) {
    if (segments[1].empty() || segments[2].empty()) return target;
    target.resource = Resource::kFirmware;
    target.name = segments[1];
    target.version = segments[2];
    if (count == 4) target.type = segments[3];
  } else if (segments[0] == "blobs" && count == 3 && segments[1] == "sha256") {
    const auto digest = segments[2];
    const bool hex = digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
    if (!hex) return target;
    target.resource = Resource::kBlob;
    target.digest = digest;
  } else if (segments[0] == ".well-known" && count == 2 && segments[1] == "core") {
    target.resource = Resource::kWellKnown;
  } else {
    return target;
  }

  for (std::size_t i = 0; i < query_count_; ++i) {
    const auto query = i >= percent_from_ ? decoded(queries_[i]) : queries_[i];
    if (target.resource == Resource::kFirmware && count == 4) break;  // the path's type holds
    if (!apply(target, query)) {
      target.resource = Resource::kNone;
      return target;
    }
  }
  return target;
}

std::string_view PathParser::key(const Target& target) {
  std::size_t used = 0;
  const auto put = [&](std::string_view field) {
    // Fields have at most 255 bytes each and there are six: kMaxKey holds them.
    std::copy(field.begin(), field.end(), key_.begin() + static_cast<std::ptrdiff_t>(used));
    used += field.size();
    key_[used++] = '\0';
  };
  key_[used++] = static_cast<char>('0' + static_cast<int>(target.resource));
  if (target.resource == Resource::kBlob) {
    put(target.digest);
  } else if (target.resource == Resource::kFirmware || target.resource == Resource::kCatalog) {
    put(target.name);
    put(target.type);
    put(target.version);
    if (target.resource == Resource::kCatalog) {
      put(target.store);
      put(target.cursor);
      std::array<char, 8> digits{};
      const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), target.limit);
      if (error == std::errc{}) put({digits.data(), static_cast<std::size_t>(end - digits.data())});
    }
  }
  return {key_.data(), used};
}

}  // namespace otagate::coap

// What a request asks for: Uri-Path and Uri-Query to one of the plugin's resources.
//
// The same paths as over HTTP, one Uri-Path option per segment. Clients that split a URL at '/'
// alone (nRF Connect SDK) leave the query in the last segment: "1.2.0?type=sensor". That works too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace otagate::coap {

inline constexpr std::uint32_t kDefaultPage = 100;
inline constexpr std::uint32_t kMaxPage = 1000;

enum class Resource : std::uint8_t { kNone, kCatalog, kFirmware, kBlob, kWellKnown };

// Views into the request, or into the PathParser that made it.
struct Target {
  Resource resource = Resource::kNone;
  std::string_view name;     // firmware; catalog: filter
  std::string_view version;  // firmware
  std::string_view type;     // firmware; catalog: filter
  std::string_view store;    // catalog: filter
  std::string_view cursor;   // catalog
  std::string_view digest;   // blob: 64 lower-case hex digits
  std::uint32_t limit = kDefaultPage;
  const char* problem = nullptr;  // the request is malformed: what to do instead

  bool latest() const { return resource == Resource::kFirmware && version == "latest"; }
};

class PathParser {
 public:
  static constexpr std::size_t kMaxSegments = 8;
  static constexpr std::size_t kMaxQueries = 8;
  static constexpr std::size_t kMaxOption = 255;  // RFC 7252, 5.10
  static constexpr std::size_t kMaxKey = 2048;

  // Forgets the request before. Views of earlier targets become invalid.
  void clear();
  // Each returns false when the request has too many or too long parts.
  bool add_segment(std::string_view segment);
  bool add_query(std::string_view query);

  // The resource is kNone for a path that does not exist here and for a malformed request; the
  // latter has `problem` set.
  Target target();

  // What target() found, whatever the path is; decoded, without empty segments at the ends. Valid as targets.
  std::span<const std::string_view> segments() const {
    return std::span(segments_).subspan(first_segment_, segment_count_ - first_segment_);
  }
  // "key=value" or "key". False: the index is beyond the last one.
  bool query(std::size_t index, std::string_view& out);

  // One text per distinct target, whatever way it was written. Valid until clear().
  std::string_view key(const Target& target);

 private:
  void take_query_of_last_segment();
  std::string_view decoded(std::string_view text);
  bool apply(Target& target, std::string_view query);

  std::array<std::string_view, kMaxSegments> segments_;
  std::array<std::string_view, kMaxQueries> queries_;
  std::size_t segment_count_ = 0;
  std::size_t first_segment_ = 0;
  std::size_t query_count_ = 0;
  std::size_t percent_from_ = kMaxQueries;  // queries from here on came in a segment, with escapes
  std::array<char, 2 * kMaxOption> scratch_;
  std::size_t scratch_used_ = 0;
  std::array<char, kMaxKey> key_;
};

bool is_utf8(std::string_view text);

}  // namespace otagate::coap

// The smaller documents of a registry: lists of tags, links to the next page, errors; and what Drogue kept
// beside its firmware. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::oci {

inline constexpr std::size_t kMaxLink = 2048;

// {"name": ..., "tags": [...]}, null for none. What is no tag is left out.
common::Outcome<std::vector<std::string>> parse_tags(std::string_view json);

// The target of the Link header with rel="next" (RFC 8288), nullopt when there is none.
std::optional<std::string> next_link(std::string_view header);

// What {"errors": [{"code", "message"}]} says first; empty where the body is something else. Both are fit
// to show.
struct RegistryError {
  std::string code{};
  std::string message{};
};
RegistryError parse_registry_error(std::string_view body);

struct FailureContext {
  std::string_view method;
  std::string_view url;
  std::string_view repository;
  bool anonymous;
};
// An answer that is no success, in the words of the plugin ABI, with what to do.
common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context);

// {version, size, checksum}: the label io.drogue.metadata, and the files firmware.json and metadata.json.
struct DrogueMetadata {
  std::string version{};
  std::optional<std::uint64_t> size{};
  std::string sha256{};  // 64 hex digits, or empty
};
inline constexpr std::string_view kDrogueLabel = "io.drogue.metadata";
inline constexpr std::size_t kMaxDrogueMetadata = 64 * 1024;
common::Outcome<DrogueMetadata> parse_drogue_metadata(std::string_view json);

}  // namespace otagate::oci

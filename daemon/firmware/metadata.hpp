// Where a firmware's name, version and type come from, other than the image: object metadata and
// sidecar files; and how the sources are put together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "firmware/identity.hpp"

namespace otagate::firmware {

inline constexpr std::size_t kMaxSidecar = 64 << 10;  // bytes

// What one source says about an object; what it does not say is not set.
struct Claim {
  std::optional<std::string> name, version, type, dependency;
  std::optional<Kind> kind;
  std::optional<Digest> sha256;
  std::optional<std::uint64_t> size;

  bool empty() const { return *this == Claim{}; }
  bool operator==(const Claim&) const = default;
};

class JsonObject;

// The members of a JSON object that say what an image is: those of a sidecar.
Result<Claim> claim_from_json(const JsonObject& object);

// A sidecar: ours {name, version, type, sha256, size, kind, dependency} or Drogue's
// {version, checksum, size}; unknown members are ignored, `checksum` is another word for `sha256`.
// At most kMaxSidecar bytes and 8 levels deep.
Result<Claim> parse_sidecar(std::string_view json);

// True for keys that end in ".json".
bool is_sidecar_key(std::string_view key);
// The sidecars that may describe an image, the better one first: "a/x.bin" -> "a/x.bin.json",
// "a/x.json". A sidecar key has none.
std::vector<std::string> sidecar_keys_for(std::string_view image_key);
// The same question from the other side.
bool may_describe(std::string_view sidecar_key, std::string_view image_key);
// The name an image has when its sidecar gives none: "a/x.bin" -> "x".
std::string stem(std::string_view image_key);

// Object metadata (S3 and Azure, prefix already taken off, or OCI annotations without "io.otagate."):
// the keys name, version, type, sha256, kind, dependency in either case; others are ignored.
Result<Claim> parse_object_metadata(const std::vector<std::pair<std::string, std::string>>& metadata);

// All that is known about one object before its bytes are read.
struct Sources {
  std::string_view key;
  std::optional<std::uint64_t> object_size;  // as the store lists it
  std::optional<Digest> object_sha256;       // as the store knows it
  // In order of priority; nullptr where there is no such source.
  const Claim* metadata = nullptr;
  const Claim* index = nullptr;
  const Claim* sidecar = nullptr;
  const Claim* image = nullptr;
  const Claim* pattern = nullptr;
};

struct Merged {
  Identity identity;
  std::optional<Digest> sha256;       // expected, whoever said so
  std::optional<std::uint64_t> size;  // expected, whoever said so
};

// Takes each member from the first source that has it. An error (Code::rejected) is the reason why
// the object is skipped: no name or version, an invalid one, a patch without dependency, or sources
// that disagree with each other or with the object on size or SHA-256.
Result<Merged> merge(const Sources& sources);

}  // namespace otagate::firmware

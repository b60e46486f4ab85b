#include "oci/image_files.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "common/http_client/url.hpp"
#include "oci/blob_stream.hpp"
#include "oci/tar_member.hpp"

namespace otagate::oci {
namespace {

using sdk::Failure;

constexpr std::string_view kMetadataFiles[] = {"firmware.json", "metadata.json"};

// What the layers above have taken away (OCI image specification, whiteouts).
class Removed {
 public:
  // True when `path` is such a mark.
  bool note(std::string_view path) {
    if (path == ".wh..wh..opq") {
      all_ = true;
      return true;
    }
    if (!path.starts_with(".wh.")) return false;
    names_.emplace(path.substr(4));
    return true;
  }
  // Marks hold for the layers below the one they are in.
  void next_layer() {
    hidden_ = names_;
    hides_all_ = all_;
  }
  bool hides(std::string_view path) const { return hides_all_ || hidden_.contains(std::string(path)); }
  bool hides_all() const { return hides_all_; }

 private:
  std::set<std::string> names_;
  std::set<std::string> hidden_;
  bool all_ = false;
  bool hides_all_ = false;
};

bool is_firmware(const Candidate& candidate, const TarReader::Member& member) {
  return member.regular && member.size > 0 &&
         std::find(candidate.names.begin(), candidate.names.end(), member.path) != candidate.names.end();
}

bool is_metadata(const TarReader::Member& member) {
  return member.regular && std::find(std::begin(kMetadataFiles), std::end(kMetadataFiles), member.path) !=
                               std::end(kMetadataFiles);
}

std::string read_small(TarReader& tar, const TarReader::Member& member) {
  if (member.size > kMaxDrogueMetadata) {
    throw Failure(OTAGATE_PERMANENT, "the image's " + member.path + " is larger than 64 KiB");
  }
  std::string out;
  for (std::string_view part = tar.read(); !part.empty(); part = tar.read()) out += part;
  return out;
}

Failure no_firmware(const Candidate& candidate) {
  std::string names;
  for (const std::string& name : candidate.names) names += (names.empty() ? "/" : " or /") + name;
  return Failure(OTAGATE_PERMANENT, "the container image has no " + names);
}

void check_size(const Candidate& candidate, const TarReader::Member& member) {
  if (candidate.size == OTAGATE_SIZE_UNKNOWN || candidate.size == member.size) return;
  throw Failure(OTAGATE_PERMANENT, "the image's label says that /" + member.path + " has " +
                                       std::to_string(candidate.size) + " bytes, it has " +
                                       std::to_string(member.size));
}

}  // namespace

ImageFirmware scan_image(Registry& registry, const std::string& repository, const Candidate& candidate,
                         std::uint64_t most, sdk::Call& call) {
  std::optional<ImageFirmware> found;
  std::optional<DrogueMetadata> metadata;
  Removed removed;
  std::uint64_t read = 0;
  for (const Descriptor& layer : candidate.layers) {
    if ((found && metadata) || removed.hides_all()) break;
    if (layer.size > most - read) {
      if (found) break;
      throw Failure(OTAGATE_PERMANENT,
                    "no firmware in the part of the image that may be read in search of it; 'scan_max' is " +
                        std::to_string(most) +
                        " bytes. Push the firmware as an artifact, or give the image "
                        "the label io.drogue.metadata");
    }
    read += layer.size;
    BlobStream stream(registry, repository, layer, call);
    {
      TarReader tar([&] { return stream.next(); });
      while (const auto member = tar.next()) {
        if (removed.note(member->path) || removed.hides(member->path)) continue;
        if (!found && is_firmware(candidate, *member)) {
          Sha256 hash;
          for (std::string_view part = tar.read(); !part.empty(); part = tar.read()) hash.update(part);
          found = ImageFirmware{member->size, hash.hex(), {}};
        } else if (!metadata && is_metadata(*member)) {
          auto parsed = parse_drogue_metadata(read_small(tar, *member));
          if (!parsed) throw Failure(OTAGATE_PERMANENT, "/" + member->path + ": " + parsed.error().message);
          metadata = std::move(*parsed);
        }
      }
    }
    stream.drain();
    removed.next_layer();
  }
  if (!found) throw no_firmware(candidate);
  if (metadata) found->metadata = std::move(*metadata);
  const bool other_size = found->metadata.size && *found->metadata.size != found->size;
  if (other_size || (!found->metadata.sha256.empty() && found->metadata.sha256 != found->sha256)) {
    throw Failure(OTAGATE_PERMANENT,
                  "the size or checksum beside the firmware in the image is not that of its bytes");
  }
  return std::move(*found);
}

void fetch_member(Registry& registry, const std::string& repository, const Candidate& candidate,
                  const sdk::FetchRequest& request, const std::string& token, sdk::FetchSink& sink) {
  Removed removed;
  for (const Descriptor& layer : candidate.layers) {
    if (removed.hides_all()) break;
    BlobStream stream(registry, repository, layer, sink);
    TarReader tar([&] { return stream.next(); });
    while (const auto member = tar.next()) {
      if (removed.note(member->path) || removed.hides(member->path) || !is_firmware(candidate, *member))
        continue;
      check_size(candidate, *member);
      if (!sink.begin(member->size, token)) return;
      std::uint64_t skip = request.offset;
      std::uint64_t left = request.length > 0 ? request.length : UINT64_MAX;
      for (std::string_view part = tar.read(); !part.empty() && left > 0; part = tar.read()) {
        const std::size_t before = static_cast<std::size_t>(std::min<std::uint64_t>(skip, part.size()));
        skip -= before;
        part.remove_prefix(before);
        part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, part.size())));
        left -= part.size();
        if (!part.empty() && !sink.write(part.data(), part.size())) return;
      }
      return;
    }
    removed.next_layer();
  }
  throw no_firmware(candidate);
}

}  // namespace otagate::oci

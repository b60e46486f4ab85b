#include "gateway/verifier.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "firmware/image.hpp"

namespace otagate::gateway {

cache::VerifyLevel level_of(config::Require require) {
  switch (require) {
    case config::Require::none: return cache::VerifyLevel::none;
    case config::Require::length: return cache::VerifyLevel::length;
    case config::Require::format: return cache::VerifyLevel::format;
    case config::Require::digest: return cache::VerifyLevel::digest;
    case config::Require::signature: return cache::VerifyLevel::signature;
  }
  return cache::VerifyLevel::signature;
}

Result<cache::VerifyLevel> PolicyVerifier::verify(const cache::FillKey& key, const Digest&,
                                                  cache::VerifyLevel reached, const cache::BlobView& bytes) {
  const firmware::ReadAt read = [&](std::uint64_t offset, std::span<std::byte> into) -> Result<void> {
    const auto got = bytes.read_at(offset, into);
    if (!got) return fail(got.error());
    if (*got != into.size()) return fail(Code::rejected, "the image is shorter than its headers say");
    return {};
  };
  auto checked = firmware::check_format(read, bytes.size());
  if (!checked) return fail(std::move(checked).error());
  if (checked->format != firmware::Format::unknown)
    journal_.note_format(key, std::string(firmware::to_string(checked->format)));
  if (checked->verdict == firmware::Verdict::bad) {
    // Bytes that match their digest are what the vendor published, however odd they look.
    if (reached < cache::VerifyLevel::digest) {
      return fail(Code::rejected, "the " + std::string(firmware::to_string(checked->format)) +
                                      " image is damaged: " + checked->reason);
    }
    log("gateway").warn("{}: matches its SHA-256, but the {} image looks damaged: {}", key.object,
                        firmware::to_string(checked->format), checked->reason);
  }
  cache::VerifyLevel level = reached;
  if (checked->verdict == firmware::Verdict::ok) level = std::max(level, cache::VerifyLevel::format);
  if (level < level_of(require_)) {
    return fail(Code::rejected, "require = \"" + std::string(config::to_string(require_)) + "\", but only " +
                                    std::string(cache::to_string(level)) +
                                    " could be verified; give its sha256 in metadata, a sidecar or an index");
  }
  return level;
}

}  // namespace otagate::gateway

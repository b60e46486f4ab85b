#include "entity.hpp"

#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace otagate::coap {
namespace {

std::uint32_t load(const std::uint32_t& shared) { return __atomic_load_n(&shared, __ATOMIC_ACQUIRE); }
std::uint64_t load(const std::uint64_t& shared) { return __atomic_load_n(&shared, __ATOMIC_ACQUIRE); }

}  // namespace

Etag etag_of(std::string_view tag) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(tag.data()), tag.size(), digest.data());
  Etag etag;
  std::copy_n(digest.begin(), etag.size(), etag.begin());
  return etag;
}

Document::Document(std::string text, std::uint16_t content_format) : text_(std::move(text)) {
  format = content_format;
  etag = etag_of(text_);
}

ReadState Document::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  if (offset > text_.size() || text_.size() - offset < into.size()) return ReadState::kUnreadable;
  if (!into.empty()) std::memcpy(into.data(), text_.data() + offset, into.size());
  return ReadState::kOk;
}

Blob::Blob(Gateway& gateway, const OpenBlob& opened)
    : gateway_(gateway),
      reader_(opened.reader),
      sha256_(opened.sha256),
      fd_(opened.fd),
      page_(opened.page),
      size_(opened.size) {
  etag = etag_of(opened.tag);
}

Blob::~Blob() { gateway_.close(reader_); }

bool Blob::usable() const { return load(page_->state) != OTAGATE_BLOB_FAILED; }

bool Blob::filling() const { return load(page_->state) == OTAGATE_BLOB_FILLING; }

std::uint64_t Blob::ready() const { return load(page_->ready); }

std::optional<std::uint64_t> Blob::size() const {
  if (size_ != OTAGATE_SIZE_UNKNOWN) return size_;
  const auto total = load(page_->total);
  if (total != OTAGATE_SIZE_UNKNOWN) return total;
  return std::nullopt;
}

void Blob::grant(std::uint64_t offset, std::uint64_t length) const {
  granted_[next_grant_++ % granted_.size()] = {offset, offset + length};
}

bool Blob::granted(std::uint64_t offset, std::uint64_t length) const {
  return std::any_of(granted_.begin(), granted_.end(), [&](const Range& range) {
    return range.begin <= offset && offset + length <= range.end;
  });
}

ReadState Blob::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  const auto state = load(page_->state);
  if (state == OTAGATE_BLOB_FAILED) return ReadState::kFailed;
  if (state != OTAGATE_BLOB_VERIFIED && ready() < offset + into.size() && !granted(offset, into.size())) {
    return ReadState::kNotReady;
  }
  std::size_t done = 0;
  while (done < into.size()) {
    const auto n = pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const std::string why =
          n == 0 ? "is too short" : std::string("cannot be read: ") + std::strerror(errno);
      gateway_.report_bad(reader_, "coap: the cached copy " + why);
      return ReadState::kUnreadable;
    }
    done += static_cast<std::size_t>(n);
  }
  // The blob may have been found bad while it was being read.
  return load(page_->state) == OTAGATE_BLOB_FAILED ? ReadState::kFailed : ReadState::kOk;
}

}  // namespace otagate::coap

#include "oci/tar_member.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>

#include "common/http_client/url.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::oci {

void TarReader::Close::operator()(archive* handle) const { archive_read_free(handle); }

TarReader::TarReader(Pull pull) : pull_(std::move(pull)), archive_(archive_read_new()), buffer_(64 * 1024) {
  if (!archive_) throw sdk::Failure(OTAGATE_TRANSIENT, "out of memory for an archive");
  // Only what layers are made of. Filters that libarchive leaves to a program (it says ARCHIVE_WARN) are not
  // taken.
  const bool ok = archive_read_support_filter_gzip(archive_.get()) == ARCHIVE_OK &&
                  archive_read_support_filter_zstd(archive_.get()) == ARCHIVE_OK &&
                  archive_read_support_format_tar(archive_.get()) == ARCHIVE_OK &&
                  archive_read_support_format_empty(archive_.get()) == ARCHIVE_OK;
  if (!ok) throw sdk::Failure(OTAGATE_INTERNAL, "this libarchive cannot read tar, gzip and zstd by itself");
  const auto read = [](archive* handle, void* self, const void** data) -> la_ssize_t {
    auto* reader = static_cast<TarReader*>(self);
    try {
      const std::string_view bytes = reader->pull_();
      *data = bytes.data();
      return static_cast<la_ssize_t>(bytes.size());
    } catch (...) {
      reader->failure_ = std::current_exception();
      archive_set_error(handle, EIO, "the stream ended");
      return -1;
    }
  };
  if (archive_read_open(archive_.get(), this, nullptr, read, nullptr) != ARCHIVE_OK) refuse("");
}

TarReader::~TarReader() = default;

void TarReader::refuse(const std::string& why) {
  if (failure_) std::rethrow_exception(failure_);
  const char* said = archive_error_string(archive_.get());
  throw sdk::Failure(OTAGATE_PERMANENT,
                     "the layer is no tar archive that can be read: " +
                         (why.empty() ? common::printable(said ? said : "no reason given", 200) : why));
}

void TarReader::unpacked(std::uint64_t bytes) {
  unpacked_ += bytes;
  if (unpacked_ > kMaxUnpacked)
    refuse("it unpacks to more than " + std::to_string(kMaxUnpacked >> 30) + " GiB");
}

std::optional<TarReader::Member> TarReader::next() {
  // Skipped here and not by libarchive, so that what is unpacked counts.
  if (members_ > 0) {
    while (!read().empty()) {
    }
  }
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return std::nullopt;
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) refuse("");
  if (++members_ > kMaxMembers) refuse("it has more than " + std::to_string(kMaxMembers) + " files");
  unpacked(512);
  Member out;
  const char* path = archive_entry_pathname(entry);
  std::string_view name = path ? path : "";
  while (name.starts_with("./") || name.starts_with('/')) name.remove_prefix(name.starts_with('/') ? 1 : 2);
  out.path = name.substr(0, 4096);
  out.regular = archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) &&
                archive_entry_size(entry) >= 0;
  if (out.regular) out.size = static_cast<std::uint64_t>(archive_entry_size(entry));
  return out;
}

std::string_view TarReader::read() {
  const la_ssize_t got = archive_read_data(archive_.get(), buffer_.data(), buffer_.size());
  if (got < 0) refuse("");
  unpacked(static_cast<std::uint64_t>(got));
  return {buffer_.data(), static_cast<std::size_t>(got)};
}

}  // namespace otagate::oci

#include "bundle.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <utility>

#include "json_access.hpp"

namespace otagate::cli {

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kSignature = "manifest.json.minisig";
constexpr std::string_view kBlobs = "blobs/sha256/";
constexpr std::size_t kBlock = 64 << 10;

std::string said(archive* from) {
  const char* text = archive_error_string(from);
  return text != nullptr ? text : "unknown error";
}

}  // namespace

// ------------------------------------------------------------------ writing

void BundleWriter::Close::operator()(archive* what) const { archive_write_free(what); }

BundleWriter::BundleWriter(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}

Result<std::unique_ptr<BundleWriter>> BundleWriter::create(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0)
    return fail(Code::invalid, path + " is there already; give another name or remove it");
  std::unique_ptr<BundleWriter> writer(new BundleWriter(path));
  writer->fd_ = ::open(writer->part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (writer->fd_ < 0) return fail(errno_error("make " + writer->part_, errno));
  writer->archive_.reset(archive_write_new());
  archive* to = writer->archive_.get();
  // pax, but only where an old tar could not say it: sizes over 8 GiB.
  if (to == nullptr || archive_write_set_format_pax_restricted(to) != ARCHIVE_OK ||
      archive_write_add_filter_none(to) != ARCHIVE_OK || archive_write_open_fd(to, writer->fd_) != ARCHIVE_OK)
    return fail(Code::internal, path + ": " + said(to));
  return writer;
}

BundleWriter::~BundleWriter() {
  archive_.reset();
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(part_.c_str());
}

Result<void> BundleWriter::failure(const std::string& what) {
  return fail(errno_error(what + ": " + said(archive_.get()), archive_errno(archive_.get())));
}

Result<void> BundleWriter::begin(const std::string& name, std::uint64_t size) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK) return failure(name);
  return {};
}

Result<void> BundleWriter::add_manifest(const std::string& manifest) {
  if (auto begun = begin(kManifest, manifest.size()); !begun) return begun;
  return write(std::span(manifest));
}

Result<void> BundleWriter::begin_blob(const Digest& digest, std::uint64_t size) {
  return begin(std::string(kBlobs) + digest.hex(), size);
}

Result<void> BundleWriter::write(std::span<const char> piece) {
  while (!piece.empty()) {
    const la_ssize_t written = archive_write_data(archive_.get(), piece.data(), piece.size());
    if (written <= 0) return failure("write " + part_);
    piece = piece.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> BundleWriter::finish() {
  if (archive_write_close(archive_.get()) != ARCHIVE_OK) return failure("write " + part_);
  archive_.reset();
  if (::fsync(fd_) != 0) return fail(errno_error("write " + part_, errno));
  // The old name does not go: whoever made it meanwhile keeps it.
  if (::link(part_.c_str(), path_.c_str()) != 0) {
    // FAT, as most USB sticks have it, knows no links.
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
      return fail(errno_error("make " + path_, errno));
    if (::rename(part_.c_str(), path_.c_str()) != 0) return fail(errno_error("make " + path_, errno));
  }
  ::unlink(part_.c_str());
  ::close(std::exchange(fd_, -1));
  return {};
}

// ------------------------------------------------------------------ reading

void BundleReader::Close::operator()(archive* what) const { archive_read_free(what); }

Error BundleReader::broken(const std::string& what) const {
  return {Code::invalid, path_ + ": " + what + "; nothing of it was imported"};
}

Result<std::unique_ptr<BundleReader>> BundleReader::open(const std::string& path) {
  std::unique_ptr<BundleReader> reader(new BundleReader(path));
  reader->archive_.reset(archive_read_new());
  archive* from = reader->archive_.get();
  if (from == nullptr || archive_read_support_format_tar(from) != ARCHIVE_OK)
    return fail(Code::internal, path + ": " + said(from));
  if (archive_read_open_filename(from, path.c_str(), kBlock) != ARCHIVE_OK)
    return fail(Code::invalid, path + ": " + said(from));
  if (auto head = reader->read_head(); !head) return fail(std::move(head).error());
  return reader;
}

Result<bool> BundleReader::advance() {
  if (pending_) {
    pending_ = false;
    return !ended_;
  }
  archive_entry* entry = nullptr;
  const int got = archive_read_next_header(archive_.get(), &entry);
  if (got == ARCHIVE_EOF) {
    ended_ = true;
    return false;
  }
  if (got != ARCHIVE_OK) return fail(broken("is no tar file or is damaged: " + said(archive_.get())));
  const char* name = archive_entry_pathname(entry);
  entry_name_ = name != nullptr ? name : "";
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
    return fail(broken("\"" + printable(entry_name_) + "\" is no plain file"));
  if (archive_entry_size_is_set(entry) == 0 || archive_entry_size(entry) < 0)
    return fail(broken("\"" + printable(entry_name_) + "\" has no size"));
  entry_size_ = static_cast<std::uint64_t>(archive_entry_size(entry));
  return true;
}

Result<std::string> BundleReader::read_small(std::uint64_t size, std::size_t most, const char* name) {
  if (size > most)
    return fail(
        broken(std::string(name) + " is larger than the " + std::to_string(most) + " bytes it may have"));
  std::string content(static_cast<std::size_t>(size), '\0');
  if (auto got = read(std::span(content)); !got) return fail(std::move(got).error());
  return content;
}

Result<void> BundleReader::read_head() {
  const auto first = advance();
  if (!first) return fail(first.error());
  if (!*first || entry_name_ != kManifest)
    return fail(broken(std::string("is no bundle: its first file is not ") + kManifest));
  auto manifest = read_small(entry_size_, kMaxManifest, kManifest);
  if (!manifest) return fail(std::move(manifest).error());
  manifest_ = std::move(*manifest);
  const auto second = advance();
  if (!second) return fail(second.error());
  if (*second && entry_name_ == kSignature) {
    auto signature = read_small(entry_size_, kMaxSignature, kSignature);
    if (!signature) return fail(std::move(signature).error());
    signature_ = std::move(*signature);
  } else {
    pending_ = true;
  }
  return {};
}

Result<std::optional<BundleReader::Blob>> BundleReader::next() {
  const auto more = advance();
  if (!more) return fail(more.error());
  if (!*more) {
    for (const auto& [digest, size] : expected_) {
      if (!seen_.contains(digest))
        return fail(broken("the manifest lists sha256 " + digest.hex() + ", but it is not there"));
    }
    return std::nullopt;
  }
  const std::string shown = "\"" + printable(entry_name_) + "\"";
  const std::string_view name = entry_name_;
  const auto digest = name.starts_with(kBlobs) && name.size() == kBlobs.size() + 64
                          ? Digest::parse(name.substr(kBlobs.size()))
                          : std::nullopt;
  const auto listed = digest ? expected_.find(*digest) : expected_.end();
  if (listed == expected_.end() || name.substr(kBlobs.size()) != digest->hex())
    return fail(broken(shown + " is not listed in the manifest"));
  if (!seen_.insert(*digest).second) return fail(broken(shown + " is there twice"));
  if (entry_size_ != listed->second) {
    return fail(broken(shown + " has " + std::to_string(entry_size_) + " bytes, the manifest says " +
                       std::to_string(listed->second)));
  }
  return Blob{*digest, entry_size_};
}

Result<void> BundleReader::read(std::span<char> into) {
  while (!into.empty()) {
    const la_ssize_t got = archive_read_data(archive_.get(), into.data(), into.size());
    if (got < 0) return fail(broken("cannot be read: " + said(archive_.get())));
    if (got == 0) return fail(broken("\"" + printable(entry_name_) + "\" is cut short"));
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<BundleBlobs> blobs_of_manifest(const std::string& manifest) {
  boost::system::error_code error;
  boost::json::value value;
  try {
    value = boost::json::parse(manifest, error);
  } catch (const std::exception& exception) {
    return fail(Code::invalid, std::string("manifest.json: ") + exception.what());
  }
  if (error) return fail(Code::invalid, "manifest.json is not JSON: " + error.message());
  BundleBlobs blobs;
  for (const boost::json::value& item : items(value)) {
    const auto digest = Digest::parse(text(item, "sha256"));
    const std::int64_t size = number(item, "size");
    if (!digest || size <= 0) return fail(Code::invalid, "manifest.json: an item without sha256 or size");
    const auto [known, added] = blobs.emplace(*digest, static_cast<std::uint64_t>(size));
    if (!added && known->second != static_cast<std::uint64_t>(size))
      return fail(Code::invalid, "manifest.json: sha256 " + digest->hex() + " is listed with two sizes");
  }
  if (blobs.empty()) return fail(Code::invalid, "manifest.json lists nothing");
  return blobs;
}

}  // namespace otagate::cli

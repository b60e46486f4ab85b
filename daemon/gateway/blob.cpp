#include "gateway/blob.hpp"

#include <algorithm>
#include <cstddef>

namespace otagate::gateway {

// The cache's page is what the SDK calls otagate_blob_page: neither includes the other.
static_assert(sizeof(cache::Page) == sizeof(otagate_blob_page));
static_assert(offsetof(cache::Page, state) == offsetof(otagate_blob_page, state));
static_assert(offsetof(cache::Page, generation) == offsetof(otagate_blob_page, generation));
static_assert(offsetof(cache::Page, ready) == offsetof(otagate_blob_page, ready));
static_assert(offsetof(cache::Page, total) == offsetof(otagate_blob_page, total));
static_assert(static_cast<std::uint32_t>(cache::PageState::filling) == OTAGATE_BLOB_FILLING);
static_assert(static_cast<std::uint32_t>(cache::PageState::verified) == OTAGATE_BLOB_VERIFIED);
static_assert(static_cast<std::uint32_t>(cache::PageState::failed) == OTAGATE_BLOB_FAILED);

namespace {

// What is fetched with a wanted range where nothing else says so.
constexpr std::uint64_t kReadAhead = 256 * 1024;

class ReaderBlob final : public plugin::Blob {
 public:
  ReaderBlob(cache::Cache& cache, cache::ReaderPtr reader, std::string tag)
      : cache_(cache), reader_(std::move(reader)), tag_(std::move(tag)) {}

  int fd() const override { return reader_->fd(); }
  const otagate_blob_page* page() const override {
    return reinterpret_cast<const otagate_blob_page*>(&reader_->page());
  }
  std::string tag() const override { return tag_; }
  std::string sha256() const override {
    const auto digest = reader_->digest();
    return digest ? digest->hex() : std::string();
  }
  std::uint64_t size() const override { return reader_->size().value_or(OTAGATE_SIZE_UNKNOWN); }

  void want(std::uint64_t offset, std::uint64_t min_length, std::chrono::milliseconds timeout,
            plugin::Reply<std::uint64_t> reply) override {
    const std::uint64_t least = std::max<std::uint64_t>(min_length, 1);
    reader_->want(offset, least, std::max(least, kReadAhead), timeout, std::move(reply));
  }

  void report_bad(std::string_view why) override {
    cache_.report_bad(reader_, Error(Code::internal, std::string(why)));
  }

 private:
  cache::Cache& cache_;
  const cache::ReaderPtr reader_;
  const std::string tag_;
};

}  // namespace

std::shared_ptr<plugin::Blob> make_blob(cache::Cache& cache, cache::ReaderPtr reader, std::string tag) {
  return std::make_shared<ReaderBlob>(cache, std::move(reader), std::move(tag));
}

}  // namespace otagate::gateway

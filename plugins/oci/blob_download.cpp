#include "oci/blob_download.hpp"

#include <algorithm>

#include "common/object_store/ranges.hpp"

namespace otagate::oci {
namespace {

std::uint64_t wanted_of(const sdk::FetchRequest& request, std::uint64_t size) {
  if (request.offset >= size) return 0;
  const std::uint64_t rest = size - request.offset;
  return request.length > 0 ? std::min(request.length, rest) : rest;
}

}  // namespace

BlobDownload::BlobDownload(const sdk::FetchRequest& request, std::uint64_t size, std::string token,
                           sdk::FetchSink& sink)
    : offset_(request.offset),
      size_(size),
      wanted_(wanted_of(request, size)),
      token_(std::move(token)),
      sink_(sink) {}

bool BlobDownload::nothing_wanted() {
  if (wanted_ > 0) return false;
  sink_.begin(size_, token_);
  return true;
}

std::string BlobDownload::range() const {
  return wanted_ == size_ ? std::string() : common::byte_range(offset_, wanted_);
}

bool BlobDownload::problem(std::uint32_t status, std::string message) {
  problem_ = Problem{status, std::move(message)};
  return false;
}

bool BlobDownload::on_head(const common::HttpHead& head) {
  if (head.status == 206) {
    const std::string* value = head.find("content-range");
    const auto range = value ? common::parse_content_range(*value) : std::nullopt;
    if (!range || !range->satisfied || range->first != offset_) {
      return problem(OTAGATE_TRANSIENT, "the answer holds another range than was asked for");
    }
    if (range->total != OTAGATE_SIZE_UNKNOWN && range->total != size_) {
      return problem(OTAGATE_PERMANENT, "the blob has another size than its manifest says");
    }
  } else if (head.status == 200) {
    if (offset_ > 0) {
      return problem(OTAGATE_UNSUPPORTED, "the server ignores ranges: set 'ranges' to false");
    }
    const std::uint64_t length = common::content_length(head);
    if (length != OTAGATE_SIZE_UNKNOWN && length != size_) {
      return problem(OTAGATE_PERMANENT, "the blob has another size than its manifest says");
    }
  } else {
    return head.status < 200 || head.status >= 300 ||
           problem(OTAGATE_PERMANENT, "the status " + std::to_string(head.status) + " is no blob");
  }
  return sink_.begin(size_, token_);
}

bool BlobDownload::on_body(std::span<const char> bytes) {
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), wanted_ - got_));
  if (!sink_.write(bytes.data(), take)) return false;
  got_ += take;
  // What comes beyond is not read: a server may go on without end.
  return take == bytes.size();
}

void BlobDownload::finish(const std::string& where) const {
  if (problem_) throw sdk::Failure(problem_->status, where + ": " + problem_->message);
  if (got_ != wanted_) {
    throw sdk::Failure(OTAGATE_TRANSIENT, where + ": the answer ended after " + std::to_string(got_) +
                                              " of " + std::to_string(wanted_) + " bytes");
  }
}

}  // namespace otagate::oci

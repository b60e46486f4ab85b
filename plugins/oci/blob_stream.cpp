#include "oci/blob_stream.hpp"

#include <chrono>
#include <span>
#include <utility>

namespace otagate::oci {
namespace {

// How long the call may go unasked whether it was cancelled.
constexpr std::chrono::milliseconds kPoll{100};

}  // namespace

BlobStream::BlobStream(Registry& registry, std::string repository, const Descriptor& layer, sdk::Call& call)
    : registry_(registry), repository_(std::move(repository)), layer_(layer), call_(call) {
  thread_ = std::thread([this] { run(); });
}

BlobStream::~BlobStream() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// On thread_.
void BlobStream::run() {
  std::exception_ptr failure;
  try {
    common::HttpRequest request;
    request.on_body = [this](std::span<const char> bytes) { return offer({bytes.data(), bytes.size()}); };
    registry_.blob(repository_, layer_.digest, std::move(request), [this] { return stop_.load(); });
  } catch (...) {
    failure = std::current_exception();
  }
  const std::scoped_lock lock(mutex_);
  done_ = true;
  failure_ = failure;
  changed_.notify_all();
}

// On thread_.
bool BlobStream::offer(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ready_.empty() || stop_; });
  if (stop_) return false;
  ready_ = bytes;
  changed_.notify_all();
  return true;
}

std::string_view BlobStream::next() {
  if (ended_) return {};
  {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kPoll, [this] { return !ready_.empty() || done_; })) {
      if (call_.stopped()) throw sdk::Failure(OTAGATE_CANCELLED, "cancelled");
    }
    if (ready_.empty() && failure_) std::rethrow_exception(failure_);
    current_.clear();
    current_.swap(ready_);
    changed_.notify_all();
  }
  if (call_.stopped()) throw sdk::Failure(OTAGATE_CANCELLED, "cancelled");
  hash_.update(current_);
  got_ += current_.size();
  ended_ = current_.empty();
  if (got_ > layer_.size || (ended_ && (got_ != layer_.size || "sha256:" + hash_.hex() != layer_.digest))) {
    throw sdk::Failure(OTAGATE_TRANSIENT, "the layer " + layer_.digest + " of " + repository_ +
                                              " came with other bytes than its digest says");
  }
  return current_;
}

void BlobStream::drain() {
  while (!next().empty()) {
  }
}

}  // namespace otagate::oci

#include "cache/fetch_sink.hpp"

#include <algorithm>
#include <utility>

namespace otagate::cache {

namespace {
// Small enough that a bandwidth cap passes bytes on evenly.
constexpr std::size_t kSlice = 16 * 1024;
}  // namespace

FetchSink::FetchSink(std::shared_ptr<FillFile> file, std::shared_ptr<Link> link, std::uint64_t begin,
                     std::uint64_t end, std::string change_token)
    : file_(std::move(file)),
      link_(std::move(link)),
      end_(end),
      change_token_(std::move(change_token)),
      cursor_{begin, 0} {}

SinkVerdict FetchSink::begin(const ObjectInfo& info) {
  if (stop_.load(std::memory_order_acquire)) return SinkVerdict::stop;
  if (!change_token_.empty() && !info.change_token.empty() && info.change_token != change_token_)
    return refuse(Error(Code::changed, "the object changed: its version was " + change_token_ + ", it is " +
                                           info.change_token));
  if (info.total_size)
    if (auto sized = file_->set_size(*info.total_size); !sized) return refuse(sized.error());
  return SinkVerdict::go_on;
}

SinkVerdict FetchSink::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kSlice));
    bytes = bytes.subspan(piece.size());
    link_->limiter().take(piece.size(), [this] { return stop_.load(std::memory_order_acquire); });
    if (stop_.load(std::memory_order_acquire)) return SinkVerdict::stop;
    if (first_byte_.load(std::memory_order_relaxed) == 0)
      first_byte_.store(std::chrono::steady_clock::now().time_since_epoch().count(),
                        std::memory_order_release);
    if (piece.size() > end_ - cursor_.position)
      return refuse(Error(Code::transient, "the store sent more bytes than were asked for"));
    // Counted first: whoever sees the bytes in the file must not find the count behind.
    received_.fetch_add(piece.size(), std::memory_order_acq_rel);
    if (auto wrote = file_->write(cursor_, piece); !wrote) return refuse(wrote.error());
  }
  return SinkVerdict::go_on;
}

void FetchSink::stop() {
  stop_.store(true, std::memory_order_release);
  link_->limiter().poke();
}

SinkVerdict FetchSink::refuse(Error error) {
  const std::scoped_lock lock(mutex_);
  if (!error_) error_ = std::move(error);
  return SinkVerdict::stop;
}

std::optional<Error> FetchSink::error() const {
  const std::scoped_lock lock(mutex_);
  return error_;
}

std::optional<std::chrono::steady_clock::time_point> FetchSink::first_byte() const {
  using Clock = std::chrono::steady_clock;
  const std::int64_t ticks = first_byte_.load(std::memory_order_acquire);
  if (ticks == 0) return std::nullopt;
  return Clock::time_point(Clock::duration(ticks));
}

}  // namespace otagate::cache

#include "gateway/upload.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace otagate::gateway {

namespace {
constexpr std::size_t kPiece = 64 * 1024;
}  // namespace

void Upload::run() {
  std::shared_ptr<cache::Sink> sink;
  std::function<void(Result<void>)> done;
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return finished_ || sink_; });
    sink = std::exchange(sink_, nullptr);
    done = std::exchange(done_, nullptr);
  }
  if (sink) {
    Result<void> outcome = carry(*sink);
    sink.reset();
    done(std::move(outcome));
  }
  // Whoever still writes learns that nothing more is wanted.
  ::shutdown(socket_.get(), SHUT_RDWR);
}

Result<void> Upload::carry(cache::Sink& sink) {
  cache::ObjectInfo info;
  info.total_size = size_;
  if (sink.begin(info) == cache::SinkVerdict::stop) return fail(Code::cancelled, "the upload was stopped");
  std::array<std::byte, kPiece> piece;
  std::uint64_t got = 0;
  while (got < size_) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size_ - got));
    const ssize_t count = ::recv(socket_.get(), piece.data(), want, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      // Not transient: nobody would send the rest to a second attempt.
      return fail(Code::permanent, "the upload ended after " + std::to_string(got) + " of " +
                                       std::to_string(size_) + " bytes; send it again");
    }
    got += static_cast<std::uint64_t>(count);
    if (sink.write(std::span(piece).first(static_cast<std::size_t>(count))) == cache::SinkVerdict::stop)
      return fail(Code::cancelled, "the upload was stopped");
  }
  return {};
}

void Upload::finished() {
  {
    const std::scoped_lock lock(mutex_);
    finished_ = true;
  }
  wake_.notify_all();
}

void Upload::interrupt() { ::shutdown(socket_.get(), SHUT_RDWR); }

cache::FetchId Upload::fetch(std::uint64_t, std::uint64_t, std::shared_ptr<cache::Sink> sink,
                             std::function<void(Result<void>)> done) {
  {
    const std::scoped_lock lock(mutex_);
    if (!asked_ && !finished_) {
      asked_ = true;
      sink_ = std::move(sink);
      done_ = std::exchange(done, nullptr);
    }
  }
  if (done) {
    done(fail(Code::permanent, "the bytes of an upload come once; send it again"));
    return 0;
  }
  wake_.notify_all();
  return 1;
}

void Upload::cancel(cache::FetchId) { interrupt(); }

}  // namespace otagate::gateway

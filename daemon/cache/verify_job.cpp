#include "cache/verify_job.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace otagate::cache {

namespace {
constexpr int kMaxRestarts = 3;
using Kind = VerifyJob::Outcome::Kind;
}  // namespace

VerifyJob::VerifyJob(std::shared_ptr<Loop> main, Loop& hash, const Digest& digest, std::uint64_t size,
                     std::filesystem::path path, std::uint64_t pace, Ended ended)
    : main_(std::move(main)),
      hash_(hash),
      digest_(digest),
      size_(size),
      path_(std::move(path)),
      pace_(pace),
      ended_(std::move(ended)) {}

void VerifyJob::start() {
  hash_.post([self = shared_from_this()] { self->open(); });
}

void VerifyJob::hurry() {
  pace_.store(0, std::memory_order_relaxed);
  if (timer_ == 0) return;
  main_->cancel(std::exchange(timer_, 0));
  hash_.post([self = shared_from_this()] { self->step(); });
}

void VerifyJob::open() {
  auto fd = open_file(path_, O_RDONLY);
  if (!fd) {
    const bool gone = fd.error().code() == Code::not_found;
    return end({gone ? Kind::gone : Kind::unknown, {}, fd.error().message()});
  }
  fd_ = std::move(*fd);
  const auto identity = identify(fd_.get());
  if (!identity) return end({Kind::bad, {}, identity.error().message()});
  if (identity->size != size_)
    return end(
        {Kind::bad,
         {},
         "the file has " + std::to_string(identity->size) + " bytes instead of " + std::to_string(size_)});
  before_ = *identity;
  step();
}

void VerifyJob::step() {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kStep, size_ - offset_)));
  const auto got = read_some(fd_.get(), buffer, offset_);
  if (!got) return end({Kind::bad, {}, got.error().message()});
  if (*got < buffer.size()) return end({Kind::bad, {}, "the file became shorter while it was read"});
  sha_.update(std::span<const std::byte>(buffer));
  offset_ += buffer.size();
  if (offset_ < size_) return next();

  const Digest found = sha_.finish();
  const auto after = identify(fd_.get());
  if (found != digest_) return end({Kind::bad, {}, "the bytes hash to " + found.hex()});
  if (after && *after == before_) return end({Kind::good, *after, {}});
  // Touched meanwhile: what was hashed first may be something else now.
  if (!after || after->size != size_ || ++restarts_ > kMaxRestarts)
    return end({Kind::bad, {}, "the file keeps changing while it is read"});
  before_ = *after;
  offset_ = 0;
  next();
}

void VerifyJob::next() {
  main_->post([self = shared_from_this()] {
    const std::uint64_t pace = self->pace_.load(std::memory_order_relaxed);
    const auto go_on = [self] {
      self->timer_ = 0;
      self->hash_.post([self] { self->step(); });
    };
    if (pace == 0) return go_on();
    self->timer_ = self->main_->after(std::chrono::milliseconds(kStep * 1000 / pace), go_on);
  });
}

void VerifyJob::end(Outcome outcome) {
  fd_.reset();
  main_->post(
      [self = shared_from_this(), outcome = std::move(outcome)] { self->ended_(self->digest_, outcome); });
}

}  // namespace otagate::cache

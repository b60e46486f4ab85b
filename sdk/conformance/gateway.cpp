#include "gateway.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "check.hpp"
#include "otagate/cpp/status.hpp"
#include "sha256.hpp"

namespace otagate::kit {

using sdk::make_struct;
using sdk::read_struct;
using sdk::str;
using sdk::view;
using sdk::write_struct;

namespace {
constexpr std::uint64_t kTail = 4096;
}  // namespace

Gateway::Gateway(Subject& subject, std::size_t size, Fill fill)
    : fill_(fill),
      table_(make_table()),
      streaming_((subject.transport().flags & OTAGATE_TRANSPORT_STREAMING) != 0),
      instance_(subject, OTAGATE_TRANSPORT_1, subject.options(), &table_, this) {
  std::mt19937_64 random(4711);
  content_.resize(size);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(content_.data() + i, &word, 8);
  }
  digest_ = sha256_hex(content_);
  file_ = ::memfd_create("otagate-kit-blob", MFD_CLOEXEC);
  // What is not ready is poison, so that sending it shows; the held tail is in no file.
  const std::string poison(size - std::min<std::uint64_t>(size, kTail), '\xee');
  expect(
      file_ >= 0 && ::pwrite(file_, poison.data(), poison.size(), 0) == static_cast<ssize_t>(poison.size()),
      "cannot make a file of " + std::to_string(size) + " bytes in memory");
  page_.size = sizeof page_;
  page_.generation = 1;
  page_.total = size;
  board_.size = sizeof board_;
  board_.catalog = 1;
  board_.epoch = 1;
  if (fill == Fill::verified) {
    write_to(size);
    page_.ready = size;
    page_.state = OTAGATE_BLOB_VERIFIED;
  }
  instance_.must_exist();
  filler_ = std::thread([this] { fill_loop(); });
}

Gateway::~Gateway() {
  // A check that failed in the middle: stop() comes before destroy() all the same, or the plugin's crash
  // would hide why. If it does not stop either, the check's own reason is the one to tell.
  if (must_stop_) {
    try {
      stop(milliseconds(2000));
    } catch (const Failed&) {
    }
  }
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  filler_.join();
  instance_.destroy();
  for (const auto& [handle, reader] : readers_) ::close(reader.fd);
  ::close(file_);
}

void Gateway::deliver(const otagate_reply& reply, std::uint32_t status, const void* result,
                      std::string_view message, std::uint64_t retry_after_ms) {
  auto completion = make_struct<otagate_completion>();
  completion.status = status;
  completion.result = result;
  completion.message = str(message);
  completion.retry_after_ms = retry_after_ms;
  reply.fn(reply.context, &completion);
}

otagate_firmware Gateway::firmware() const {
  auto out = make_struct<otagate_firmware>();
  out.id = kFirmware;
  out.flags = OTAGATE_FIRMWARE_CACHED;
  out.name = str(kName);
  out.version = str(kVersion);
  out.type = str(kType);
  out.kind = str("firmware");
  out.store = str("kit");
  out.sha256 = str(digest_);
  out.tag = str(digest_);
  out.blob_size = content_.size();
  out.modified_ms = 1'600'000'000'000;
  out.verified = OTAGATE_VERIFIED_DIGEST;
  return out;
}

void Gateway::write_to(std::uint64_t end) {
  for (std::uint64_t at = __atomic_load_n(&page_.ready, __ATOMIC_ACQUIRE); at < end;) {
    const ssize_t put = ::pwrite(file_, content_.data() + at, end - at, static_cast<off_t>(at));
    if (put <= 0) return;
    at += static_cast<std::uint64_t>(put);
  }
}

void Gateway::fill_loop() {
  if (fill_ == Fill::verified) return;
  const std::uint64_t size = content_.size();
  const std::uint64_t body = size - std::min<std::uint64_t>(size, kTail);
  const std::uint64_t step = std::max<std::uint64_t>(4096, size / 20);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return filling_started_ || stopping_; });
  for (std::uint64_t ready = 0; ready < body && !stopping_;) {
    if (fill_ == Fill::half && ready >= size / 2 && !go_on_) {
      changed_.wait(lock, [this] { return go_on_ || stopping_; });
      continue;
    }
    changed_.wait_for(lock, milliseconds(20), [this] { return stopping_; });
    ready = std::min(body, ready + step);
    write_to(ready);
    __atomic_store_n(&page_.ready, ready, __ATOMIC_RELEASE);
    lock.unlock();
    answer_wants();
    lock.lock();
  }
  if (stopping_) return;
  if (fill_ == Fill::fails) {
    __atomic_store_n(&page_.state, OTAGATE_BLOB_FAILED, __ATOMIC_RELEASE);
  } else {
    write_to(size);
    __atomic_store_n(&page_.ready, size, __ATOMIC_RELEASE);
    __atomic_store_n(&page_.state, OTAGATE_BLOB_VERIFIED, __ATOMIC_RELEASE);
  }
  auto opens = std::exchange(opens_waiting_, {});
  lock.unlock();
  answer_wants();
  for (otagate_call call : opens) open_now(call);
}

void Gateway::answer_wants() {
  std::vector<std::pair<otagate_call, std::uint64_t>> readable;
  std::vector<otagate_call> failed;
  const std::uint32_t state = __atomic_load_n(&page_.state, __ATOMIC_ACQUIRE);
  const std::uint64_t ready = __atomic_load_n(&page_.ready, __ATOMIC_ACQUIRE);
  {
    std::lock_guard lock(mutex_);
    for (const auto& [call, want] : wants_) {
      const std::uint64_t end = std::min<std::uint64_t>(content_.size(), want.offset + want.length);
      if (state == OTAGATE_BLOB_FAILED)
        failed.push_back(call);
      else if (want.offset >= content_.size() || ready >= end)
        readable.emplace_back(call, ready - std::min(ready, want.offset));
    }
  }
  for (otagate_call call : failed) reply_status(call, OTAGATE_REJECTED, "the bytes failed verification");
  for (const auto& [call, bytes] : readable) {
    reply(call, [bytes = bytes](const otagate_reply& to) {
      auto out = make_struct<otagate_want_result>();
      out.readable = bytes;
      deliver(to, OTAGATE_OK, &out);
    });
  }
}

void Gateway::open_now(otagate_call call) {
  if (__atomic_load_n(&page_.state, __ATOMIC_ACQUIRE) == OTAGATE_BLOB_FAILED)
    return reply_status(call, OTAGATE_REJECTED, "the bytes failed verification");
  reply(call, [this](const otagate_reply& to) {
    auto out = make_struct<otagate_blob>();
    {
      std::lock_guard lock(mutex_);
      out.fd = ::open(("/proc/self/fd/" + std::to_string(file_)).c_str(), O_RDONLY | O_CLOEXEC);
      out.reader = next_++;
      readers_[out.reader] = {out.fd};
      ++opened_;
      changed_.notify_all();
    }
    out.page = &page_;
    out.tag = str(digest_);
    out.sha256 = str(digest_);
    out.blob_size = content_.size();
    deliver(to, OTAGATE_OK, &out);
  });
}

otagate_call Gateway::ask(const otagate_reply* raw) {
  const auto copy = read_struct<otagate_reply>(raw);
  if (!copy.fn) instance_.violation("it asked for something without a reply function");
  std::lock_guard lock(mutex_);
  const otagate_call call = next_++;
  asked_[call] = {copy};
  return call;
}

void Gateway::reply(otagate_call call, std::function<void(const otagate_reply&)> work) {
  instance_.post([this, call, work = std::move(work)] {
    otagate_reply to{};
    {
      std::lock_guard lock(mutex_);
      const auto found = asked_.find(call);
      if (found == asked_.end()) return;
      to = found->second.reply;
      asked_.erase(found);
      wants_.erase(call);
      std::erase(opens_waiting_, call);
    }
    work(to);
  });
}

void Gateway::reply_status(otagate_call call, std::uint32_t status, std::string message,
                           std::uint64_t retry_after_ms) {
  reply(call, [status, message = std::move(message), retry_after_ms](const otagate_reply& to) {
    deliver(to, status, nullptr, message, retry_after_ms);
  });
}

void Gateway::start() {
  auto call = std::make_shared<Call>();
  const auto& table = instance_.subject().transport();
  must_stop_ = true;
  instance_.call(call, [this, &table](otagate_call handle) { table.start(instance_.self(), handle); });
  expect(call->wait(milliseconds(10'000)), "start() did not complete within 10 s");
  expect(call->ended.status == OTAGATE_OK, "start() failed: " + call->ended.message);
}

void Gateway::stop(milliseconds deadline) {
  auto call = std::make_shared<Call>();
  const auto& table = instance_.subject().transport();
  const auto before = Clock::now();
  must_stop_ = false;
  instance_.call(call, [this, &table, deadline](otagate_call handle) {
    table.stop(instance_.self(), handle, static_cast<std::uint64_t>(deadline.count()));
  });
  // What the plugin waits for is cancelled by the gateway only after that.
  expect(call->wait(deadline + milliseconds(1000)), "stop() did not complete within its deadline of " +
                                                        std::to_string(deadline.count()) +
                                                        " ms and a second");
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - before);
  expect(took <= deadline + milliseconds(1000), "stop() took " + std::to_string(took.count()) + " ms");
  expect(call->ended.status == OTAGATE_OK, "stop() failed: " + call->ended.message);
  std::lock_guard lock(mutex_);
  expect(readers_.empty(),
         "stop() completed with " + std::to_string(readers_.size()) + " readers still open");
}

void Gateway::finish(milliseconds deadline) {
  stop(deadline);
  std::vector<otagate_call> open;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [call, asked] : asked_) open.push_back(call);
  }
  for (otagate_call call : open) reply_status(call, OTAGATE_CANCELLED, "the instance ends");
  instance_.destroy();
  instance_.no_violations();
}

void Gateway::go_on() {
  std::lock_guard lock(mutex_);
  go_on_ = true;
  changed_.notify_all();
}

void Gateway::revoke(std::uint64_t attempt) {
  {
    std::lock_guard lock(mutex_);
    attempt_over_ = true;
  }
  const auto& table = instance_.subject().transport();
  const auto before = Clock::now();
  if (table.revoke) table.revoke(instance_.self(), attempt, OTAGATE_REVOKED_CANCELLED);
  expect(Clock::now() - before < std::chrono::seconds(1), "revoke() did not return at once");
}

void Gateway::check_reports(bool expect_final) {
  std::lock_guard lock(mutex_);
  std::map<std::uint32_t, std::uint64_t> highest;
  unsigned finals = 0;
  for (const Report& report : reports_) {
    expect(finals == 0, "it reported progress after the attempt's result");
    if (report.state == OTAGATE_ATTEMPT_DOWNLOADING) {
      auto& most = highest[report.part];
      expect(report.offset >= most,
             "progress went back from " + std::to_string(most) + " to " + std::to_string(report.offset));
      expect(report.offset <= content_.size(), "progress beyond the end of the blob");
      most = report.offset;
    }
    if (report.state >= OTAGATE_ATTEMPT_CONFIRMED) ++finals;
  }
  expect(finals <= 1, "an attempt had " + std::to_string(finals) + " results");
  expect(!expect_final || finals == 1, "the attempt has no result");
}

}  // namespace otagate::kit

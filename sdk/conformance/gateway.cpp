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
constexpr std::uint64_t kFirmware = 0x51;

void deliver(const otagate_reply& reply, std::uint32_t status, const void* result,
             std::string_view message = {}, std::uint64_t retry_after_ms = 0) {
  auto completion = make_struct<otagate_completion>();
  completion.status = status;
  completion.result = result;
  completion.message = str(message);
  completion.retry_after_ms = retry_after_ms;
  reply.fn(reply.context, &completion);
}

Gateway& gateway_of(void* context) { return *static_cast<Gateway*>(instance_of(context)->user); }

}  // namespace

// The functions of otagate_transport_host.
struct Gateway::Table {
  static const otagate_board* board(void* context, otagate_instance) { return &gateway_of(context).board_; }

  static otagate_call check_credential(void* context, otagate_instance, const otagate_credential* raw,
                                       const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_credential>(raw);
    const bool good =
        (in.scheme == OTAGATE_AUTH_BEARER && view(in.secret) == "kit-token") ||
        (in.scheme == OTAGATE_AUTH_BASIC && view(in.user) == "kit" && view(in.secret) == "kit") ||
        in.scheme == OTAGATE_AUTH_PSK || in.scheme == OTAGATE_AUTH_CERTIFICATE;
    const otagate_call call = self.ask(reply);
    self.reply(call, [good](const otagate_reply& to) {
      auto out = make_struct<otagate_principal>();
      out.principal = 1;
      deliver(to, good ? OTAGATE_OK : OTAGATE_DENIED, good ? &out : nullptr, good ? "" : "who are you?");
    });
    return call;
  }

  static otagate_call psk(void* context, otagate_instance, otagate_str identity, const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const bool good = view(identity) == "kit";
    const otagate_call call = self.ask(reply);
    self.reply(call, [good](const otagate_reply& to) {
      auto out = make_struct<otagate_psk>();
      out.key = str("kit-key");
      out.principal = 1;
      deliver(to, good ? OTAGATE_OK : OTAGATE_DENIED, good ? &out : nullptr,
              good ? "" : "there is no such identity");
    });
    return call;
  }

  static otagate_call resolve(void* context, otagate_instance, const otagate_resolve_request* raw,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_resolve_request>(raw);
    const bool by_digest = in.digest.size > 0;
    const bool good = by_digest ? view(in.digest) == self.digest_
                                : view(in.name) == kName &&
                                      (view(in.version) == kVersion || view(in.version) == "latest") &&
                                      (in.type.size == 0 || view(in.type) == kType);
    {
      std::lock_guard lock(self.mutex_);
      if (good) ++self.resolved_;
    }
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, good](const otagate_reply& to) {
      if (!good) return deliver(to, OTAGATE_NOT_FOUND, nullptr, "there is no such firmware");
      const otagate_firmware out = self.firmware();
      if (to.item) to.item(to.context, &out);
      deliver(to, OTAGATE_OK, nullptr);
    });
    return call;
  }

  static otagate_call catalog(void* context, otagate_instance, const otagate_catalog_request* raw,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_catalog_request>(raw);
    const bool match = (in.name.size == 0 || view(in.name) == kName) &&
                       (in.type.size == 0 || view(in.type) == kType) && in.cursor.size == 0;
    if (in.limit == 0 || in.limit > 1000)
      self.instance_.violation("catalog() with a limit that is not 1 to 1,000");
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, match](const otagate_reply& to) {
      const otagate_firmware one = self.firmware();
      if (match && to.item) to.item(to.context, &one);
      auto out = make_struct<otagate_catalog_result>();
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static otagate_call blob_open(void* context, otagate_instance, const otagate_open_request* raw,
                                const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_open_request>(raw);
    const bool good = in.firmware == kFirmware || (in.firmware == 0 && view(in.digest) == self.digest_);
    const otagate_call call = self.ask(reply);
    if (!good) {
      self.reply_status(call, OTAGATE_NOT_FOUND, "there is no such firmware");
      return call;
    }
    std::unique_lock lock(self.mutex_);
    self.filling_started_ = true;
    self.changed_.notify_all();
    const bool verified_only = !self.streaming_ || (in.flags & OTAGATE_OPEN_VERIFIED) != 0;
    const std::uint32_t state = __atomic_load_n(&self.page_.state, __ATOMIC_ACQUIRE);
    if (state == OTAGATE_BLOB_FILLING && verified_only) {
      self.opens_waiting_.push_back(call);
      self.wants_verified_ = true;
      self.changed_.notify_all();
      lock.unlock();
      const std::uint64_t patience = std::min<std::uint64_t>(in.deadline_ms, 60'000);
      self.instance_.post(
          [&self, call] { self.reply_status(call, OTAGATE_DEADLINE, "not verified yet", 1000); },
          milliseconds(patience));
      return call;
    }
    lock.unlock();
    self.open_now(call);
    return call;
  }

  static otagate_call blob_want(void* context, otagate_instance, const otagate_want_request* raw,
                                const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_want_request>(raw);
    const otagate_call call = self.ask(reply);
    {
      std::lock_guard lock(self.mutex_);
      if (!self.readers_.contains(in.reader)) {
        self.instance_.violation("blob_want() on a reader that is not open");
      } else {
        self.wants_[call] = {read_struct<otagate_reply>(reply), in.reader, in.offset,
                             std::max<std::uint64_t>(1, in.min_length)};
      }
    }
    self.instance_.post([&self] { self.answer_wants(); });
    self.instance_.post([&self, call] { self.reply_status(call, OTAGATE_DEADLINE, "not there yet", 1000); },
                        milliseconds(std::min<std::uint64_t>(in.deadline_ms, 60'000)));
    return call;
  }

  static void blob_close(void* context, otagate_instance, otagate_reader reader) {
    Gateway& self = gateway_of(context);
    std::vector<otagate_call> wants;
    {
      std::lock_guard lock(self.mutex_);
      const auto found = self.readers_.find(reader);
      if (found == self.readers_.end())
        return self.instance_.violation("blob_close() of a reader that is not open");
      ::close(found->second.fd);
      self.readers_.erase(found);
      for (const auto& [call, want] : self.wants_)
        if (want.reader == reader) wants.push_back(call);
      self.changed_.notify_all();
    }
    for (otagate_call call : wants) self.reply_status(call, OTAGATE_CANCELLED, "the reader was closed");
  }

  static otagate_call presign(void* context, otagate_instance, const otagate_redirect_request*,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const otagate_call call = self.ask(reply);
    self.reply_status(call, OTAGATE_UNSUPPORTED, "the store does not presign");
    return call;
  }

  static otagate_call check_in(void* context, otagate_instance, const otagate_check_in* raw,
                               const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_check_in>(raw);
    if (in.device.size == 0) self.instance_.violation("check_in() without a device");
    const bool offered = view(in.device) == kDevice;
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, offered](const otagate_reply& to) {
      auto out = make_struct<otagate_offer>();
      out.next_after_ms = 60'000;
      {
        std::lock_guard lock(self.mutex_);
        ++self.check_ins_;
        if (offered && !self.attempt_over_) {
          if (!self.attempt_) {
            self.attempt_ = 0xa77;
            ++self.offers_;
          }
          out.attempt = self.attempt_;
          out.parts = 1;
          out.lease_ms = 60'000;
        }
        self.changed_.notify_all();
      }
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static std::uint32_t offer_part(void* context, otagate_instance, std::uint64_t attempt, std::uint32_t index,
                                  otagate_offer_part* part) {
    Gateway& self = gateway_of(context);
    std::lock_guard lock(self.mutex_);
    if (attempt != self.attempt_ || attempt == 0 || index != 0) return OTAGATE_NOT_FOUND;
    auto out = make_struct<otagate_offer_part>();
    out.firmware = kFirmware;
    out.component = str("application");
    out.name = str(kName);
    out.version = str(kVersion);
    out.sha256 = str(self.digest_);
    out.blob_size = self.content_.size();
    write_struct(part, out);
    return OTAGATE_OK;
  }

  static otagate_call progress(void* context, otagate_instance, const otagate_progress* raw,
                               const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_progress>(raw);
    bool over = false;
    {
      std::lock_guard lock(self.mutex_);
      if (in.resume_token.size > 256) self.instance_.violation("a resume token is longer than 256 bytes");
      if (in.state > OTAGATE_ATTEMPT_REVERTED)
        self.instance_.violation("progress() with a state that does not exist");
      if (in.attempt != self.attempt_ || in.attempt == 0)
        self.instance_.violation("progress() of an attempt that was never offered");
      over = self.attempt_over_;
      self.reports_.push_back({in.attempt, in.state, in.part, in.offset});
      if (in.state >= OTAGATE_ATTEMPT_CONFIRMED) self.attempt_over_ = true;
      self.changed_.notify_all();
    }
    const otagate_call call = self.ask(reply);
    self.reply(call, [over, state = in.state](const otagate_reply& to) {
      if (over) return deliver(to, OTAGATE_NOT_FOUND, nullptr, "the attempt is over");
      auto out = make_struct<otagate_answer>();
      out.answer = state == OTAGATE_ATTEMPT_NEEDS_CONFIRM ? OTAGATE_CONFIRM : OTAGATE_CONTINUE;
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static void blob_bad(void* context, otagate_instance, otagate_reader, otagate_str) {
    gateway_of(context).instance_.violation(
        "it says that the blob is bad, which it is not: it read what is not ready");
  }

  static otagate_transport_host make() {
    auto out = make_struct<otagate_transport_host>();
    out.board = &board;
    out.check_credential = &check_credential;
    out.psk = &psk;
    out.resolve = &resolve;
    out.catalog = &catalog;
    out.blob_open = &blob_open;
    out.blob_want = &blob_want;
    out.blob_close = &blob_close;
    out.presign = &presign;
    out.check_in = &check_in;
    out.offer_part = &offer_part;
    out.progress = &progress;
    out.blob_bad = &blob_bad;
    return out;
  }
};

Gateway::Gateway(Subject& subject, std::size_t size, Fill fill)
    : fill_(fill),
      table_(Table::make()),
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

// ---------------------------------------------------------------- the device

Device::Device(Subject& subject, const std::string& out) : out_(out) {
  const auto command = subject.setting("device");
  if (!command) throw Skipped{"the configuration has no device command"};
  pid_ = ::fork();
  expect(pid_ >= 0, "fork failed");
  if (pid_ == 0) {
    ::setpgid(0, 0);
    const std::pair<const char*, const char*> variables[] = {
        {"OTAGATE_CHECK_NAME", Gateway::kName}, {"OTAGATE_CHECK_VERSION", Gateway::kVersion},
        {"OTAGATE_CHECK_TYPE", Gateway::kType}, {"OTAGATE_CHECK_DEVICE", Gateway::kDevice},
        {"OTAGATE_CHECK_RUNS", Gateway::kRuns}, {"OTAGATE_CHECK_OUT", out_.c_str()}};
    for (const auto& [key, value] : variables) ::setenv(key, value, 1);
    ::execl("/bin/sh", "sh", "-c", command->c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);  // in both, so that it is done whoever comes first
}

Device::~Device() { kill(); }

std::optional<int> Device::wait(milliseconds timeout) {
  if (pid_ < 0) return std::nullopt;
  for (const auto until = Clock::now() + timeout;;) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    if (Clock::now() >= until) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(10));  // a child's end can only be polled for beside a deadline
  }
}

void Device::freeze() {
  if (pid_ > 0) ::kill(-pid_, SIGSTOP);
}

void Device::kill() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace otagate::kit

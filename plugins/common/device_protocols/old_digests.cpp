#include "common/device_protocols/old_digests.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <unistd.h>

namespace otagate::plugins::devices {
namespace {

constexpr std::size_t kChunk = 64UL * 1024;
constexpr std::size_t kMaxResults = 256;
constexpr std::size_t kMaxWaiting = 32;  // blobs, each with a descriptor
constexpr std::uint64_t kBusyMs = 5000;

using Digests = Gateway::OldDigests;
using Digested = sdk::Outcome<Digests>;

Digested failed_digest(std::uint32_t status, std::string message, std::uint64_t retry_after_ms = 0) {
  Digested out;
  out.status = status;
  out.message = std::move(message);
  out.retry_after_ms = retry_after_ms;
  return out;
}

class Hash {
 public:
  explicit Hash(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    good_ = context_ != nullptr && EVP_DigestInit_ex(context_, kind, nullptr) == 1;
  }
  ~Hash() { EVP_MD_CTX_free(context_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void update(const void* data, std::size_t size) {
    good_ = good_ && EVP_DigestUpdate(context_, data, size) == 1;
  }
  // Empty where OpenSSL refuses the algorithm.
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    std::string out;
    if (!good_ || EVP_DigestFinal_ex(context_, digest.data(), &length) != 1) return out;
    for (unsigned i = 0; i < length; ++i) {
      out += "0123456789abcdef"[digest[i] >> 4];
      out += "0123456789abcdef"[digest[i] & 15U];
    }
    return out;
  }

 private:
  EVP_MD_CTX* context_;
  bool good_ = false;
};

// `stopped` is asked between chunks.
template <class Stopped>
std::optional<Digested> digest_of(const sdk::Reader& blob, Stopped stopped) {
  Hash sha1(EVP_sha1());
  Hash md5(EVP_md5());
  std::vector<char> chunk(kChunk);
  const std::uint64_t total = blob.total();
  for (std::uint64_t at = 0; at < total;) {
    if (stopped()) return std::nullopt;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, total - at));
    const ssize_t got = ::pread(blob.fd(), chunk.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      blob.report_bad("its file cannot be read, or is shorter than it should be");
      return failed_digest(OTAGATE_TRANSIENT,
                           "the firmware cannot be read from the cache: it is fetched again", kBusyMs);
    }
    sha1.update(chunk.data(), static_cast<std::size_t>(got));
    md5.update(chunk.data(), static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  if (blob.failed())
    return failed_digest(OTAGATE_TRANSIENT, "the firmware failed verification: it is fetched again", kBusyMs);
  Digested out;
  out.value.sha1 = sha1.hex();
  out.value.md5 = md5.hex();
  if (out.value.sha1.empty() || out.value.md5.empty())
    return failed_digest(OTAGATE_UNSUPPORTED, "OpenSSL on this gateway does not do SHA-1 and MD5");
  return out;
}

}  // namespace

struct OldDigester::State {
  struct Job {
    std::string key;
    sdk::Reader blob;
  };

  std::mutex mutex;
  std::condition_variable wake;
  bool stopped = false;                              // under mutex
  std::deque<Job> jobs;                              // under mutex
  std::map<std::string, std::vector<Done>> waiting;  // under mutex: by key, of jobs and of the one under way
  std::list<std::pair<std::string, Digests>> results;  // under mutex: used last in front
  std::thread thread;                                  // started under mutex, joined by whoever set `stopped`

  void run();
  // Under mutex.
  const Digests* find(const std::string& key);
  void keep(const std::string& key, const Digests& digests);
};

const Digests* OldDigester::State::find(const std::string& key) {
  for (auto it = results.begin(); it != results.end(); ++it) {
    if (it->first != key) continue;
    results.splice(results.begin(), results, it);
    return &results.front().second;
  }
  return nullptr;
}

void OldDigester::State::keep(const std::string& key, const Digests& digests) {
  results.emplace_front(key, digests);
  if (results.size() > kMaxResults) results.pop_back();
}

void OldDigester::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [&] { return stopped || !jobs.empty(); });
    if (stopped) return;
    Job job = std::move(jobs.front());
    jobs.pop_front();
    lock.unlock();
    const auto digested = digest_of(job.blob, [&] {
      const std::lock_guard guard(mutex);
      return stopped;
    });
    job.blob.close();
    lock.lock();
    if (stopped || !digested) return;
    if (*digested) keep(job.key, digested->value);
    const auto found = waiting.find(job.key);
    const auto told = std::move(found->second);
    waiting.erase(found);
    lock.unlock();
    for (const auto& done : told) done(*digested);
    lock.lock();
  }
}

OldDigester::OldDigester() : state_(std::make_unique<State>()) {}

OldDigester::~OldDigester() { stop(); }

void OldDigester::get(sdk::Reader blob, Done done) {
  // A verified blob has its digest.
  std::string key = blob.sha256().empty() ? "tag:" + blob.tag() : blob.sha256();
  std::optional<Digested> now;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopped) {
      now = failed_digest(OTAGATE_CANCELLED, "the gateway is stopping");
    } else if (const auto* known = state_->find(key)) {
      now.emplace().value = *known;
    } else if (const auto under_way = state_->waiting.find(key); under_way != state_->waiting.end()) {
      under_way->second.push_back(std::move(done));
    } else if (state_->jobs.size() == kMaxWaiting) {
      now = failed_digest(OTAGATE_BUSY, "too many firmwares wait for their SHA-1 and MD5", kBusyMs);
    } else {
      state_->waiting[key].push_back(std::move(done));
      state_->jobs.push_back({std::move(key), std::move(blob)});
      if (!state_->thread.joinable()) state_->thread = std::thread([state = state_.get()] { state->run(); });
      state_->wake.notify_one();
    }
  }
  if (now) done(std::move(*now));  // NOLINT(bugprone-use-after-move): only then was it not handed on
}

void OldDigester::stop() {
  std::deque<State::Job> jobs;
  std::map<std::string, std::vector<Done>> waiting;
  std::thread thread;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
    jobs.swap(state_->jobs);
    waiting.swap(state_->waiting);
    thread.swap(state_->thread);
    state_->wake.notify_one();
  }
  if (thread.joinable()) thread.join();
}

}  // namespace otagate::plugins::devices

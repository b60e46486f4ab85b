#include "gateway/local_store.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/catalog_writer.hpp"
#include "gateway/interpret.hpp"
#include "gateway/upload.hpp"
#include "gateway/verifier.hpp"
#include "state/blobs.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"

namespace otagate::gateway {

namespace {

constexpr std::size_t kMaxJobs = 4;
constexpr std::size_t kMaxArrivals = 4096;
// An upload that no list has named after that time is left to the cache.
constexpr std::int64_t kArrivalMs = 3'600'000;
// Owners of pins: in the database for as long as a firmware is listed, in memory until it is.
constexpr std::string_view kImported = "import";
constexpr std::string_view kArrived = "upload";
constexpr std::string_view kBeingListed = "import in progress";

std::string key_of(std::string_view name, std::string_view version, std::string_view type) {
  std::string key = std::string(name) + "/" + std::string(version);
  if (!type.empty()) key.append("/").append(type);
  return key;
}

Pairs pairs_of(const firmware::Claim& claim) {
  Pairs pairs;
  const auto add = [&](const char* key, const std::optional<std::string>& value) {
    if (value) pairs.emplace_back(key, *value);
  };
  add("name", claim.name);
  add("version", claim.version);
  add("type", claim.type);
  add("dependency", claim.dependency);
  if (claim.kind) pairs.emplace_back("kind", firmware::to_string(*claim.kind));
  return pairs;
}

// True where another object of the store has those bytes.
Result<bool> used_otherwise(state::Reader& db, std::int64_t store, const Digest& digest,
                            std::int64_t object) {
  const auto rows = state::firmware_of_digest(db, digest);
  if (!rows) return fail(rows.error());
  return std::any_of(rows->begin(), rows->end(),
                     [&](const state::Firmware& row) { return row.store == store && row.object != object; });
}

}  // namespace

struct LocalStore::Item {
  firmware::Merged merged;
  firmware::Format format = firmware::Format::unknown;
  Digest digest;
  std::uint64_t size = 0;
  std::string metadata;  // packed
};

LocalStore::LocalStore(state::Database& db, cache::Cache& cache, Journal& journal, EventLog& events,
                       std::function<void()> catalog_changed)
    : db_(db),
      cache_(cache),
      journal_(journal),
      events_(events),
      catalog_changed_(std::move(catalog_changed)) {}

LocalStore::~LocalStore() { stop(); }

void LocalStore::set_row(std::int64_t id) {
  row_ = id;
  count();
}

void LocalStore::stop() {
  std::list<Job> jobs;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    jobs.swap(jobs_);
  }
  for (Job& job : jobs) {
    if (job.interrupt) job.interrupt();
  }
  for (Job& job : jobs) job.thread.join();
}

bool LocalStore::run(std::function<void()> work, std::function<void()> interrupt) {
  std::list<Job> ended;
  {
    const std::scoped_lock lock(mutex_);
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      const auto next = std::next(job);
      if (job->done) ended.splice(ended.end(), jobs_, job);
      job = next;
    }
    if (stopping_ || jobs_.size() >= kMaxJobs) {
      for (Job& job : ended) job.thread.join();
      return false;
    }
    Job& job = jobs_.emplace_back();
    job.interrupt = std::move(interrupt);
    job.thread = std::thread([&job, work = std::move(work)] {
      work();
      job.done = true;
    });
  }
  for (Job& job : ended) job.thread.join();
  return true;
}

// ------------------------------------------------------------------ bytes

UniqueFd LocalStore::receive(const Digest& digest, std::uint64_t size, Reply<void> reply) {
  const auto refuse = [&](Error error) {
    reply(fail(std::move(error)));
    return UniqueFd();
  };
  if (size == 0 || size > cache::kMaxObjectSize)
    return refuse(Error(Code::invalid, "a blob has 1 byte to " + std::to_string(cache::kMaxObjectSize) +
                                           " bytes; say how many by Content-Length"));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return refuse(errno_error("socketpair", errno));
  UniqueFd theirs(ends[0]);
  auto upload = std::make_shared<Upload>(UniqueFd(ends[1]), size);
  if (!run([upload] { upload->run(); },
           [upload] {
             upload->finished();
             upload->interrupt();
           })) {
    return refuse(Error(Code::busy, std::to_string(kMaxJobs) + " imports are running; try again in a moment")
                      .with_retry_after(1000));
  }

  cache::OpenRequest request;
  request.key = {std::string(kLocalStore), "upload of " + digest.hex(), digest.hex(), digest};
  request.digest = digest;
  request.source = [upload] { return upload; };
  request.verifier = std::make_shared<PolicyVerifier>(config::Require::digest, journal_);
  request.streaming = false;
  auto wanted = std::make_shared<std::atomic<bool>>(true);
  cache_.open(std::move(request),
              [this, upload, wanted, digest, reply = std::move(reply)](Result<cache::ReaderPtr> reader) {
                // Held before the reader goes, so that it is not evicted in between.
                if (reader) hold_arrival(digest);
                *wanted = false;
                upload->finished();
                if (reader)
                  reply({});
                else
                  reply(fail(std::move(reader).error()));
              });
  return *wanted ? std::move(theirs) : UniqueFd();
}

void LocalStore::hold_arrival(const Digest& digest) {
  std::vector<Digest> old;
  {
    const std::scoped_lock lock(mutex_);
    const std::int64_t now = steady_ms();
    arrivals_[digest] = now;
    for (auto one = arrivals_.begin(); one != arrivals_.end();) {
      const bool goes =
          now - one->second > kArrivalMs || (arrivals_.size() > kMaxArrivals && one->first != digest);
      if (goes) old.push_back(one->first);
      one = goes ? arrivals_.erase(one) : std::next(one);
    }
  }
  cache_.pin(digest, kArrived);
  for (const Digest& gone : old) cache_.unpin(gone, kArrived);
}

// ------------------------------------------------------------------ lists

void LocalStore::add(firmware::ImportList list, Reply<std::uint64_t> reply) {
  auto answer = std::make_shared<Reply<std::uint64_t>>(std::move(reply));
  const bool started = run([this, list = std::move(list), answer] { (*answer)(add_now(list)); }, nullptr);
  if (started) return;
  (*answer)(fail(Error(Code::busy, std::to_string(kMaxJobs) + " imports are running; try again in a moment")
                     .with_retry_after(1000)));
}

Result<std::uint64_t> LocalStore::add_now(const firmware::ImportList& list) {
  // From here to the end of the transaction nothing of it is evicted.
  std::vector<Digest> held;
  const auto release = [&] {
    for (const Digest& digest : held) cache_.unpin(digest, kBeingListed);
  };
  std::vector<Item> items;
  std::set<std::string> keys;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const firmware::Import& import = list.items[i];
    cache_.pin(import.digest, kBeingListed);
    held.push_back(import.digest);
    auto item = identify(import);
    if (item) {
      const firmware::Identity& is = item->merged.identity;
      if (!keys.insert(key_of(is.name, is.version, is.type)).second)
        item = fail(Code::invalid, is.name + "/" + is.version + ": the same firmware is listed twice");
    }
    if (!item) {
      release();
      const std::string which =
          "item " + std::to_string(i + 1) + (import.file.empty() ? "" : " (" + import.file + ")");
      return fail(std::move(item).error().with_context(which));
    }
    items.push_back(std::move(*item));
  }

  struct Outcome {
    std::uint64_t changed = 0;
    std::vector<state::Event> events{};
    std::vector<Digest> freed{};
  };
  auto written = db_.write_sync([&](state::Writer& db) -> Result<Outcome> {
    Outcome outcome;
    for (const Item& item : items) {
      const auto changed = write(db, item, list.replace, outcome.events, outcome.freed);
      if (!changed) return fail(changed.error());
      outcome.changed += *changed ? 1 : 0;
    }
    return outcome;
  });
  if (!written) {
    release();
    return fail(std::move(written).error());
  }
  for (const Item& item : items) cache_.pin(item.digest, kImported);
  for (const Digest& digest : written->freed) cache_.unpin(digest, kImported);
  release();
  std::vector<Digest> arrived;
  {
    const std::scoped_lock lock(mutex_);
    for (const Item& item : items) {
      if (arrivals_.erase(item.digest) > 0) arrived.push_back(item.digest);
    }
  }
  for (const Digest& digest : arrived) cache_.unpin(digest, kArrived);
  for (state::Event& event : written->events) events_.add(std::move(event));
  count();
  if (written->changed > 0) catalog_changed_();
  return written->changed;
}

// The first bytes of a blob of the cache, verified.
Result<std::string> LocalStore::head_of(const Digest& digest, std::uint64_t& size) {
  cache::OpenRequest request;
  request.key.expected = digest;
  request.digest = digest;
  request.streaming = false;
  auto promise = std::make_shared<std::promise<Result<cache::ReaderPtr>>>();
  auto opened = promise->get_future();
  cache_.open(std::move(request),
              [promise](Result<cache::ReaderPtr> reader) { promise->set_value(std::move(reader)); });
  const auto reader = opened.get();
  if (!reader) {
    if (reader.error().code() != Code::not_found) return fail(reader.error());
    return fail(Code::not_found, "no blob " + digest.hex() +
                                     " is in the cache; send it first, by PUT to "
                                     "/api/v1/blobs/" +
                                     digest.hex());
  }
  size = (*reader)->size().value_or(0);
  std::string head(std::min<std::uint64_t>(firmware::kProbeBytes, size), '\0');
  const ssize_t got = ::pread((*reader)->fd(), head.data(), head.size(), 0);
  if (got != static_cast<ssize_t>(head.size()))
    return fail(Code::permanent, "the blob " + digest.hex() + " cannot be read");
  return head;
}

Result<LocalStore::Item> LocalStore::identify(const firmware::Import& import) {
  Item item;
  item.digest = import.digest;
  auto head = head_of(import.digest, item.size);
  if (!head) return fail(std::move(head).error());
  if (import.claim.size && *import.claim.size != item.size)
    return fail(Code::invalid, "the list says " + std::to_string(*import.claim.size) +
                                   " bytes, the blob has " + std::to_string(item.size));

  static const StoreIndexes kNoIndexes;
  const Interpreter interpreter(config::Store{}, true);
  state::Object object;
  // The name of the file counts only where the list leaves something open.
  object.key = import.claim.name && import.claim.version ? "image" : import.file;
  if (object.key.empty()) object.key = "image";
  object.size = item.size;
  object.digest = import.digest;
  item.metadata = pack(pairs_of(import.claim));
  object.metadata = item.metadata;
  Lookups lookups;
  lookups.sidecar = [](const std::string&) -> Result<std::optional<std::string>> { return std::nullopt; };
  lookups.stat = [](const std::string&) -> Result<Pairs> { return Pairs(); };
  lookups.head = [&](const state::Object&) -> Result<std::string> { return *head; };
  Interpreted found = interpreter.interpret(object, false, kNoIndexes, lookups);
  if (!found.merged) return fail(Code::invalid, found.merged.error().message());
  item.merged = std::move(*found.merged);
  item.format = found.format;
  return item;
}

Result<bool> LocalStore::write(state::Writer& db, const Item& item, bool replace,
                               std::vector<state::Event>& events, std::vector<Digest>& freed) {
  const std::string store(kLocalStore);
  const firmware::Identity& is = item.merged.identity;
  Examined examined;
  state::Object& object = examined.object;
  object.store = row_;
  object.key = key_of(is.name, is.version, is.type);
  object.change_token = item.digest.hex();
  object.size = item.size;
  object.digest = item.digest;
  object.metadata = item.metadata;
  object.modified_ms = wall_ms();
  const auto before = state::find_object(db, object.store, object.key);
  if (!before) return fail(before.error());
  const bool other_bytes = *before && (*before)->change_token != object.change_token;
  if (*before && !other_bytes && (*before)->metadata == object.metadata) return false;
  if (other_bytes && !replace) {
    return fail(Code::precondition, is.name + "/" + is.version + (is.type.empty() ? "" : "/" + is.type) +
                                        " is there with other bytes (sha256 " + (*before)->change_token +
                                        "); give it another version, or ask for them to be replaced");
  }
  const auto id = state::put_object(db, object);
  if (!id) return fail(id.error());
  object.id = *id;
  if (other_bytes) {
    if (auto turned = turn_firmware(db, store, object, *id, events); !turned) return fail(turned.error());
    if (const auto& old = (*before)->digest) {
      const auto used = used_otherwise(db, row_, *old, *id);
      if (!used) return fail(used.error());
      if (!*used) {
        if (const auto gone = state::delete_pin(db, *old, kImported); !gone) return fail(gone.error());
        freed.push_back(*old);
      }
    }
  }
  examined.firmware = to_firmware(object, item.merged, item.format);
  examined.firmware->expected_digest = item.digest;
  const auto changed = write_examined(db, store, examined);
  if (!changed) return fail(changed.error());
  if (auto pinned = state::put_pin(db, {item.digest, std::string(kImported), object.key, wall_ms()}); !pinned)
    return fail(pinned.error());
  events.insert(events.end(), examined.events.begin(), examined.events.end());
  return true;
}

void LocalStore::remove(const std::string& name, const std::string& version, const std::string& type,
                        Reply<void> reply) {
  auto freed = std::make_shared<std::optional<Digest>>();
  const std::string key = key_of(name, version, type);
  db_.write(
      [this, key, freed](state::Writer& db) -> Result<void> {
        const auto object = state::find_object(db, row_, key);
        if (!object) return fail(object.error());
        if (!*object) {
          return fail(Code::not_found,
                      "no firmware " + key + " was imported; what other stores list is removed there");
        }
        if (auto gone = state::delete_object(db, (*object)->id); !gone) return gone;
        if (!(*object)->digest) return {};
        const auto used = used_otherwise(db, row_, *(*object)->digest, (*object)->id);
        if (!used) return fail(used.error());
        if (*used) return {};
        if (const auto unpinned = state::delete_pin(db, *(*object)->digest, kImported); !unpinned)
          return fail(unpinned.error());
        *freed = (*object)->digest;
        return {};
      },
      [this, key, freed, reply = std::move(reply)](Result<void> outcome) {
        if (outcome) {
          if (*freed) cache_.unpin(**freed, kImported);
          events_.add("withdrawn", state::Severity::info, kLocalStore, key + ": removed by the operator");
          objects_.fetch_sub(1, std::memory_order_relaxed);
          catalog_changed_();
        }
        reply(std::move(outcome));
      });
}

void LocalStore::count() {
  std::uint64_t objects = 0;
  std::optional<std::string> after = "";
  while (after) {
    auto page = db_.read_sync(
        [&](state::Reader& db) { return state::count_objects(db, row_, *after, state::kObjectPage); });
    if (!page) {
      log("gateway").error("counting what was imported: {}", page.error().message());
      return;
    }
    objects += page->count;
    after = std::move(page->next);
  }
  objects_ = objects;
}

}  // namespace otagate::gateway

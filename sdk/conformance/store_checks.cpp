// What every store must do, on whatever the configuration points it to. What the objects are is learnt
// from the listing; a fixture, a folder with the same files, says what they must be.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <thread>

#include "check.hpp"
#include "host.hpp"
#include "otagate/cpp/status.hpp"
#include "sha256.hpp"

namespace otagate::kit {
namespace {

using sdk::make_struct;
using sdk::str;

constexpr milliseconds kPatience{30'000};  // for a call that nothing keeps from completing
constexpr milliseconds kSoon{5'000};       // for one that was cancelled
constexpr std::uint64_t kMostToFetch = 64u << 20;

struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// An instance of the store, and calls as a check makes them.
class Store {
 public:
  explicit Store(Subject& subject)
      : table_(subject.storage()), instance_(subject, OTAGATE_STORAGE_1, subject.options()) {
    instance_.must_exist();
    auto caps = make_struct<otagate_store_caps>();
    if (table_.caps) table_.caps(instance_.self(), &caps);
    caps_ = caps;
  }
  // The end of every check: what the plugin did wrong on the way, and that it ends.
  void finish() {
    instance_.destroy();
    instance_.no_violations();
  }

  bool can(std::uint32_t flag) const { return (caps_.flags & flag) != 0; }
  Instance& instance() { return instance_; }
  const otagate_storage& table() const { return table_; }
  const otagate_store_caps& caps() const { return caps_; }
  bool blocking() const { return (instance_.subject().plugin().flags & OTAGATE_PLUGIN_BLOCKING) != 0; }

  std::shared_ptr<Call> start_list(const std::string& cursor, std::uint32_t limit) {
    auto call = std::make_shared<Call>();
    call->result = Call::Result::list;
    call->objects_allowed = true;
    return instance_.call(call, [this, cursor, limit](otagate_call handle) {
      auto request = make_struct<otagate_list_request>();
      request.limit = limit;
      request.cursor = str(cursor);
      table_.list(instance_.self(), handle, &request);
    });
  }

  std::vector<ListedObject> list_all(std::uint32_t limit = 1000) {
    std::vector<ListedObject> out;
    std::set<std::string> cursors;
    std::set<std::string> keys;
    for (std::string cursor;;) {
      const auto call = ended(start_list(cursor, limit), "list");
      expect(call->ended.status == OTAGATE_OK, "list() failed: " + call->ended.message);
      expect(call->objects.size() <= limit, "a page has " + std::to_string(call->objects.size()) +
                                                " objects although " + std::to_string(limit) +
                                                " were asked for");
      for (const ListedObject& object : call->objects) {
        expect(keys.insert(object.key).second, "the key '" + object.key + "' was listed twice");
        out.push_back(object);
      }
      if (call->ended.text.empty()) return out;
      cursor = call->ended.text;
      expect(cursors.insert(cursor).second, "list() gave the same cursor twice: it would never end");
      expect(cursors.size() < 10'000, "the listing has more than 10,000 pages; point it to a smaller place");
    }
  }

  std::shared_ptr<Call> start_fetch(const std::string& key, const std::string& token, Range range,
                                    std::function<std::uint32_t(std::uint64_t)> answer = {}) {
    auto call = std::make_shared<Call>();
    call->sink_allowed = true;
    call->answer = std::move(answer);
    return instance_.call(call, [this, key, token, range](otagate_call handle) {
      auto request = make_struct<otagate_fetch_request>();
      request.key = str(key);
      request.change_token = str(token);
      request.offset = range.offset;
      request.length = range.length;
      table_.fetch(instance_.self(), handle, &request);
    });
  }
  std::shared_ptr<Call> fetch(const std::string& key, const std::string& token, Range range = {}) {
    return ended(start_fetch(key, token, range), "fetch");
  }
  // Where a store has ranges the length is never 0.
  std::string whole(const ListedObject& object) {
    Range range;
    if (can(OTAGATE_STORE_RANGES) && object.size != OTAGATE_SIZE_UNKNOWN && object.size > 0)
      range.length = object.size;
    const auto call = fetch(object.key, object.change_token, range);
    expect(call->ended.status == OTAGATE_OK, "fetching '" + object.key + "' failed: " + call->ended.message);
    return call->bytes;
  }

  std::shared_ptr<Call> ended(std::shared_ptr<Call> call, const char* what,
                              milliseconds patience = kPatience) {
    expect(call->wait(patience), std::string(what) + "() did not complete within " +
                                     std::to_string(patience.count() / 1000) + " s");
    return call;
  }

  // The smallest object that is worth it, or the largest there is.
  ListedObject object(std::uint64_t at_least = 1) {
    auto all = list_all();
    expect(!all.empty(), "the store is empty; point the configuration to a place with some objects");
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
    for (const ListedObject& one : all)
      if (one.size != OTAGATE_SIZE_UNKNOWN && one.size >= at_least) return one;
    for (auto one = all.rbegin(); one != all.rend(); ++one)
      if (one->size != OTAGATE_SIZE_UNKNOWN) return *one;
    return all.front();
  }

 private:
  const otagate_storage& table_;
  Instance instance_;
  otagate_store_caps caps_{};
};

std::map<std::string, std::string> fixture(Subject& subject) {
  std::map<std::string, std::string> out;
  const auto folder = subject.setting("fixture");
  if (!folder) return out;
  namespace fs = std::filesystem;
  for (const auto& file : fs::recursive_directory_iterator(*folder)) {
    if (!file.is_regular_file()) continue;
    std::ifstream in(file.path(), std::ios::binary);
    out[fs::relative(file.path(), *folder).string()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return out;
}

void lists(Subject& subject) {
  Store store(subject);
  const auto objects = store.list_all();
  for (const ListedObject& object : objects)
    expect(!object.change_token.empty() || !object.sha256.empty(),
           "'" + object.key + "' has neither a change token nor a digest: nobody would see it change");
  const auto files = fixture(subject);
  for (const auto& [key, content] : files) {
    const auto found =
        std::find_if(objects.begin(), objects.end(), [&, k = key](const auto& one) { return one.key == k; });
    expect(found != objects.end(), "'" + key + "' is in the fixture but not listed");
    expect(found->size == OTAGATE_SIZE_UNKNOWN || found->size == content.size(),
           "'" + key + "' is listed with a wrong size");
  }
  if (!files.empty())
    expect(objects.size() == files.size(), "there are " + std::to_string(objects.size()) + " objects and " +
                                               std::to_string(files.size()) + " files in the fixture");
  expect(!objects.empty(), "the store is empty; point the configuration to a place with some objects");
  store.finish();
}

void pages(Subject& subject) {
  Store store(subject);
  std::set<std::string> whole;
  std::set<std::string> single;
  for (const auto& object : store.list_all(1000)) whole.insert(object.key);
  if (whole.size() > 300) throw Skipped{"more than 300 objects would take long one by one"};
  for (const auto& object : store.list_all(1)) single.insert(object.key);
  expect(whole == single, "pages of one object give another listing than pages of 1,000");
  store.finish();
}

void fetch_whole(Subject& subject) {
  Store store(subject);
  const auto files = fixture(subject);
  std::uint64_t total = 0;
  for (const ListedObject& object : store.list_all()) {
    if (object.size != OTAGATE_SIZE_UNKNOWN && (total += object.size) > kMostToFetch) break;
    const std::string bytes = store.whole(object);
    expect(object.size == OTAGATE_SIZE_UNKNOWN || bytes.size() == object.size,
           "'" + object.key + "' was listed with " + std::to_string(object.size) + " bytes, " +
               std::to_string(bytes.size()) + " came");
    if (const auto file = files.find(object.key); file != files.end())
      expect(bytes == file->second, "the bytes of '" + object.key + "' are not those of the fixture");
    if (!object.sha256.empty())
      expect(sha256_hex(bytes) == object.sha256,
             "'" + object.key + "' does not have the digest it was listed with");
  }
  store.finish();
}

void fetch_ranges(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_RANGES)) throw Skipped{"the store has no ranges"};
  const ListedObject object = store.object(100'000);
  const std::string whole = store.whole(object);
  expect(!whole.empty(), "there is no object with bytes in it");
  const std::uint64_t size = whole.size();
  const std::vector<Range> ranges = {{0, 1},
                                     {0, size},
                                     {size - 1, 1},
                                     {size / 2, 1},
                                     {size / 3, size / 3 + 1},
                                     {size / 2, size - size / 2},
                                     {1, size - 1}};
  for (const auto& range : ranges) {
    if (range.length == 0 || range.offset + range.length > size) continue;
    const auto call = store.fetch(object.key, object.change_token, range);
    const std::string what = std::to_string(range.length) + " bytes at " + std::to_string(range.offset) +
                             " of '" + object.key + "'";
    expect(call->ended.status == OTAGATE_OK, what + ": " + call->ended.message);
    expect(call->bytes == whole.substr(range.offset, range.length),
           what + " are not the bytes of the whole object");
    expect(!call->total || *call->total == OTAGATE_SIZE_UNKNOWN || *call->total == size,
           "begin() of a range gave a total of " + std::to_string(call->total.value_or(0)) +
               " instead of the whole object's size");
    expect(call->change_token.empty() || call->change_token == object.change_token,
           "begin() gives another change token than the listing");
  }
  store.finish();
}

void end_of_object(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_RANGES)) throw Skipped{"the store has no ranges"};
  const ListedObject object = store.object();
  const std::string whole = store.whole(object);
  const std::uint64_t size = whole.size();
  const auto past =
      store.fetch(object.key, object.change_token, {size - std::min<std::uint64_t>(size, 1), 1000});
  expect(past->ended.status == OTAGATE_OK, "a range that reaches past the end fails: " + past->ended.message);
  expect(past->bytes == whole.substr(size - std::min<std::uint64_t>(size, 1)),
         "a range that reaches past the end does not give what is there");
  for (std::uint64_t offset : {size, size + 1000}) {
    const auto none = store.fetch(object.key, object.change_token, {offset, 10});
    expect(none->ended.status == OTAGATE_OK,
           "a range that starts at or beyond the end fails: " + none->ended.message);
    expect(none->bytes.empty(), "a range that starts at or beyond the end gives bytes");
  }
  store.finish();
}

void wrong_token(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_VALIDATOR)) throw Skipped{"the store does not validate change tokens"};
  const ListedObject object = store.object();
  const auto call = store.fetch(object.key, "another-" + object.change_token, {0, 1});
  expect(call->ended.status == OTAGATE_CHANGED, "a fetch with another change token ended with status " +
                                                    std::to_string(call->ended.status) +
                                                    " instead of OTAGATE_CHANGED");
  expect(call->bytes.empty(), "a fetch with another change token gave bytes");
  store.finish();
}

int run_command(const std::string& command, const std::string& key) {
  ::setenv("OTAGATE_CHECK_KEY", key.c_str(), 1);
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void changed_mid_read(Subject& subject) {
  Store store(subject);
  const auto mutate = subject.setting("mutate");
  if (!mutate) throw Skipped{"the configuration has no mutate command"};
  if (!store.can(OTAGATE_STORE_VALIDATOR)) throw Skipped{"the store does not validate change tokens"};
  const ListedObject object = store.object(200'000);
  const std::string before = store.whole(object);
  std::atomic<int> result{-1};
  const auto call =
      store.start_fetch(object.key, object.change_token,
                        {0, store.can(OTAGATE_STORE_RANGES) ? before.size() : 0}, [&](std::uint64_t) {
                          if (result == -1) result = run_command(*mutate, object.key);
                          return OTAGATE_CONTINUE;
                        });
  store.ended(call, "fetch");
  expect(result == 0, "the mutate command failed");
  expect(call->ended.status != OTAGATE_OK || call->bytes == before,
         "the object changed in the middle of a fetch, and a mixture was delivered as good");
  const auto after = store.fetch(object.key, object.change_token, {0, 1});
  expect(after->ended.status == OTAGATE_CHANGED,
         "after the object changed, a fetch with the old token ended with status " +
             std::to_string(after->ended.status) + " instead of OTAGATE_CHANGED");
  const auto objects = store.list_all();
  const auto now =
      std::find_if(objects.begin(), objects.end(), [&](const auto& one) { return one.key == object.key; });
  expect(now != objects.end() && now->change_token != object.change_token,
         "the listing still gives the old change token");
  store.finish();
}

void strange_keys(Subject& subject) {
  Store store(subject);
  using std::string_literals::operator""s;
  const std::vector<std::string> keys = {"no-such-object-0451",
                                         "..",
                                         "../../../../../../etc/passwd",
                                         "a/../../../../../../../etc/passwd",
                                         "/etc/passwd",
                                         "./",
                                         "etc/passwd\0.bin"s,
                                         "../../../../etc/passwd\0"s,
                                         "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80.bin",
                                         "\xff\xfe",
                                         "%2e%2e%2fetc%2fpasswd",
                                         "a b+c%d?e#f&g=h",
                                         std::string(1024, 'k')};
  for (const std::string& key : keys) {
    const auto call = store.fetch(key, "", {0, 100});
    expect(call->ended.status != OTAGATE_OK,
           "fetching the key '" + std::string(key.c_str()) + "', which was not listed, succeeded");
    expect(call->bytes.empty(),
           "fetching the key '" + std::string(key.c_str()) + "', which was not listed, gave bytes");
    expect(call->ended.status == OTAGATE_NOT_FOUND || call->ended.status == OTAGATE_INVALID ||
               call->ended.status == OTAGATE_DENIED,
           "an unknown key ended with status " + std::to_string(call->ended.status) +
               " instead of not_found, invalid or denied: the host would try again");
  }
  store.finish();
}

// Keeps a fetch in its sink until released; a plugin that does not block is told to pause instead.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  bool reached = false;

  std::uint32_t pass(bool blocking) {
    std::unique_lock lock(mutex);
    reached = true;
    changed.notify_all();
    if (!blocking) return open ? OTAGATE_CONTINUE : OTAGATE_PAUSE;
    changed.wait(lock, [this] { return open; });
    return OTAGATE_CONTINUE;
  }
  bool wait_reached() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPatience, [this] { return reached; });
  }
  void release() {
    std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

void cancel_in_sink(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(200'000);
  auto gate = std::make_shared<Gate>();
  const bool blocking = store.blocking();
  const auto call = store.start_fetch(object.key, object.change_token,
                                      {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0},
                                      [gate, blocking](std::uint64_t) { return gate->pass(blocking); });
  expect(gate->wait_reached(), "the fetch never gave a byte");
  store.instance().cancel(call, store.table().cancel);
  gate->release();
  store.ended(call, "a cancelled fetch", kSoon);
  expect(call->after_stop <= 1, "the sink was called on and on after it had said OTAGATE_STOP");
  store.finish();
}

void cancel_at_once(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(200'000);
  std::vector<std::shared_ptr<Call>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(store.start_fetch(object.key, object.change_token,
                                      {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0}));
    store.instance().cancel(calls.back(), store.table().cancel);
    calls.push_back(store.start_list("", 1000));
    store.instance().cancel(calls.back(), store.table().cancel);
  }
  for (const auto& call : calls) store.ended(call, "a cancelled call", kSoon);
  // One that is over already: nothing may happen.
  store.instance().cancel(calls.front(), store.table().cancel);
  store.finish();
}

void sink_stalls(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(200'000);
  const std::string whole = store.whole(object);
  auto gate = std::make_shared<Gate>();
  const bool blocking = store.blocking();
  const auto call = store.start_fetch(object.key, object.change_token,
                                      {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0},
                                      [gate, blocking](std::uint64_t) { return gate->pass(blocking); });
  expect(gate->wait_reached(), "the fetch never gave a byte");
  std::this_thread::sleep_for(milliseconds(1500));  // the stall itself
  expect(!call->done() || call->bytes.size() == whole.size(), "the fetch ended while the sink was stalled");
  gate->release();
  if (!blocking) {
    expect(store.table().resume != nullptr, "a store that does not block must have resume()");
    store.table().resume(store.instance().self(), store.instance().handle(call));
  }
  store.ended(call, "fetch");
  expect(call->ended.status == OTAGATE_OK, "a stall of the sink made the fetch fail: " + call->ended.message);
  expect(call->bytes == whole, "after a stall of the sink the bytes are not right");
  store.finish();
}

void sink_aborts(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(200'000);
  for (std::uint64_t after : {std::uint64_t{1}, std::uint64_t{70'000}}) {
    const auto call = store.start_fetch(
        object.key, object.change_token, {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0},
        [after](std::uint64_t got) { return got >= after ? OTAGATE_STOP : OTAGATE_CONTINUE; });
    store.ended(call, "a fetch whose sink said OTAGATE_STOP", kSoon);
    expect(call->after_stop == 0, "the sink was called again after it had said OTAGATE_STOP");
  }
  store.finish();
}

void threads(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(50'000);
  const std::string whole = store.whole(object);
  const std::size_t listed = store.list_all().size();
  std::mutex mutex;
  std::string wrong;
  std::vector<std::thread> all;
  for (unsigned number = 0; number < 8; ++number) {
    all.emplace_back([&, number] {
      try {
        for (unsigned round = 0; round < 6; ++round) {
          if ((number + round) % 3 == 0) {
            expect(store.list_all().size() == listed,
                   "a listing made beside other calls has another number of objects");
          } else if ((number + round) % 3 == 1) {
            expect(store.whole(object) == whole, "a fetch made beside other calls gave other bytes");
          } else {
            const auto call = store.start_fetch(object.key, object.change_token, {0, whole.size()});
            store.instance().cancel(call, store.table().cancel);
            store.ended(call, "a cancelled fetch", kSoon);
          }
        }
      } catch (const Failed& failed) {
        std::lock_guard lock(mutex);
        wrong = failed.reason;
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  expect(wrong.empty(), wrong);
  store.finish();
}

void deadline(Subject& subject) {
  Store store(subject);
  const ListedObject object = store.object(200'000);
  auto gate = std::make_shared<Gate>();
  const bool blocking = store.blocking();
  const auto call = store.start_fetch(object.key, object.change_token,
                                      {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0},
                                      [gate, blocking](std::uint64_t) { return gate->pass(blocking); });
  expect(gate->wait_reached(), "the fetch never gave a byte");
  {
    std::lock_guard lock(call->mutex);
    call->deadline = Clock::now();
    call->stopped = true;
  }
  gate->release();
  if (!blocking && store.table().resume)
    store.table().resume(store.instance().self(), store.instance().handle(call));
  store.ended(call, "a fetch past its deadline", kSoon);
  store.finish();
}

template <class Request>
std::shared_ptr<Call> simple(Store& store, void (*function)(void*, otagate_call, const Request*),
                             std::function<void(Request&)> fill, Call::Result result = Call::Result::none,
                             bool objects = false) {
  auto call = std::make_shared<Call>();
  call->result = result;
  call->objects_allowed = objects;
  store.instance().call(call, [&store, function, fill = std::move(fill)](otagate_call handle) {
    auto request = make_struct<Request>();
    fill(request);
    function(store.instance().self(), handle, &request);
  });
  return store.ended(call, "an optional call");
}

void stats(Subject& subject) {
  Store store(subject);
  if (!store.table().stat || !store.can(OTAGATE_STORE_STAT)) throw Skipped{"the store has no stat()"};
  const ListedObject object = store.object();
  const auto call = simple<otagate_stat_request>(
      store, store.table().stat, [&](auto& request) { request.key = str(object.key); }, Call::Result::none,
      true);
  expect(call->ended.status == OTAGATE_OK, "stat() failed: " + call->ended.message);
  expect(call->objects.size() == 1 && call->objects.front().key == object.key,
         "stat() did not give that one object");
  expect(call->objects.front().change_token == object.change_token,
         "stat() gives another change token than list()");
  const auto none = simple<otagate_stat_request>(
      store, store.table().stat, [&](auto& request) { request.key = str("no-such-object-0451"); },
      Call::Result::none, true);
  expect(none->ended.status == OTAGATE_NOT_FOUND,
         "stat() of an unknown key did not end with OTAGATE_NOT_FOUND");
  store.finish();
}

void presigns(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_PRESIGN)) throw Skipped{"the store does not presign"};
  expect(store.table().presign != nullptr, "the store says that it presigns and has no presign()");
  const ListedObject object = store.object();
  std::set<std::string> urls;
  for (std::uint32_t method : {OTAGATE_METHOD_GET, OTAGATE_METHOD_HEAD}) {
    const auto call = simple<otagate_presign_request>(
        store, store.table().presign,
        [&](auto& request) {
          request.key = str(object.key);
          request.method = method;
          request.expiry_ms = 60'000;
        },
        Call::Result::presign);
    expect(call->ended.status == OTAGATE_OK, "presign() failed: " + call->ended.message);
    expect(call->ended.text.rfind("http", 0) == 0, "presign() gave no URL");
    urls.insert(call->ended.text);
  }
  expect(urls.size() == 2, "GET and HEAD have the same presigned URL");
  store.finish();
}

void publishes(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_PUBLISH)) throw Skipped{"the store takes nothing"};
  expect(store.table().publish != nullptr, "the store says that it publishes and has no publish()");
  const std::string content = "published by the conformance kit";
  const int fd = ::memfd_create("publish", MFD_CLOEXEC);
  expect(fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()),
         "memfd_create failed");
  const std::string digest = sha256_hex(content);
  const auto call = simple<otagate_publish_request>(
      store, store.table().publish,
      [&](auto& request) {
        request.fd = fd;
        request.blob_size = content.size();
        request.sha256 = str(digest);
      },
      Call::Result::none, true);
  ::close(fd);
  expect(call->ended.status == OTAGATE_OK, "publish() failed: " + call->ended.message);
  expect(call->objects.size() == 1, "publish() did not give the object it made");
  expect(store.whole(call->objects.front()) == content, "what was published comes back with other bytes");
  store.finish();
}

void assigns(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_ASSIGNMENTS)) throw Skipped{"the store assigns nothing"};
  const auto& table = store.table();
  expect(table.watch && table.unwatch && table.feedback,
         "a store with assignments has watch(), unwatch() and feedback()");
  const auto watched = simple<otagate_watch_request>(
      store, table.watch, [](auto& request) { request.device = str("kit-device"); });
  expect(watched->ended.status == OTAGATE_OK, "watch() failed: " + watched->ended.message);
  const auto gone = simple<otagate_feedback>(store, table.feedback, [](auto& request) {
    request.kind = OTAGATE_FEEDBACK_SUCCESS;
    request.external_id = str("no-such-assignment-0451");
    request.device = str("kit-device");
  });
  expect(gone->ended.status == OTAGATE_NOT_FOUND,
         "feedback() on an assignment that is over did not end with OTAGATE_NOT_FOUND");
  const auto unwatched = simple<otagate_watch_request>(
      store, table.unwatch, [](auto& request) { request.device = str("kit-device"); });
  expect(unwatched->ended.status == OTAGATE_OK, "unwatch() failed: " + unwatched->ended.message);
  store.finish();
}

// Optional functions that the store does not claim may be missing, or say so.
void unsupported(Subject& subject) {
  Store store(subject);
  if (!store.can(OTAGATE_STORE_PRESIGN) && store.table().presign) {
    const auto call = simple<otagate_presign_request>(
        store, store.table().presign, [](auto& request) { request.key = str("a"); }, Call::Result::presign);
    expect(call->ended.status == OTAGATE_UNSUPPORTED,
           "presign(), which the store does not claim, did not end with OTAGATE_UNSUPPORTED");
  }
  if (!store.can(OTAGATE_STORE_ASSIGNMENTS) && store.table().feedback) {
    const auto call = simple<otagate_feedback>(store, store.table().feedback, [](auto&) {});
    expect(call->ended.status == OTAGATE_UNSUPPORTED,
           "feedback(), which the store does not claim, did not end with OTAGATE_UNSUPPORTED");
  }
  expect(store.caps().parallel >= 1, "caps() gives 0 parallel fetches");
  expect(!store.can(OTAGATE_STORE_STAT) || store.table().stat, "caps() claims stat(), and there is none");
  store.finish();
}

void releases(Subject& subject) {
  const Resources before = Resources::now();
  {
    Store store(subject);
    const ListedObject object = store.object(200'000);
    store.whole(object);
    store.finish();
  }
  // Once more, now that what is loaded on first use is there.
  const Resources loaded = Resources::now();
  {
    Store store(subject);
    const ListedObject object = store.object(200'000);
    const auto call = store.start_fetch(object.key, object.change_token,
                                        {0, store.can(OTAGATE_STORE_RANGES) ? object.size : 0},
                                        [](std::uint64_t) { return OTAGATE_STOP; });
    store.ended(call, "fetch");
    store.finish();
  }
  expect_released(
      {std::max(before.descriptors, loaded.descriptors), std::max(before.threads, loaded.threads)},
      "destroy()");
}

}  // namespace

std::vector<Check> store_checks() {
  return {
      {"store.list", "every object once, with what the fixture says", lists},
      {"store.list-pages", "pages of one give the same listing", pages},
      {"store.fetch", "whole objects, of the size and digest they were listed with", fetch_whole},
      {"store.fetch-ranges", "ranges are the bytes of the whole object", fetch_ranges},
      {"store.fetch-end", "ranges at and past the end of an object", end_of_object},
      {"store.changed", "another change token is refused", wrong_token},
      {"store.changed-mid-read", "an object that changes in the middle of a fetch is never mixed",
       changed_mid_read},
      {"store.keys", "unknown keys, with '..', NUL and UTF-8", strange_keys},
      {"store.cancel", "a fetch that is cancelled in its sink completes once and in time", cancel_in_sink},
      {"store.cancel-at-once", "calls that are cancelled as soon as they are made complete once",
       cancel_at_once},
      {"store.deadline", "a fetch past its deadline ends", deadline},
      {"store.sink-stalls", "a sink that stalls", sink_stalls},
      {"store.sink-aborts", "a sink that aborts", sink_aborts},
      {"store.threads", "every call from 8 threads", threads},
      {"store.stat", "stat() says what list() said", stats},
      {"store.presign", "URLs for GET and HEAD", presigns},
      {"store.publish", "what is published comes back", publishes},
      {"store.assignments", "watch, feedback, unwatch", assigns},
      {"store.claims", "caps() claims what is there and nothing else", unsupported},
      {"store.release", "destroy() leaves no descriptor and no thread", releases},
  };
}

}  // namespace otagate::kit

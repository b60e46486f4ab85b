// What every store must do, on whatever the configuration points it to. What the objects are is learnt
// from the listing; a fixture, a folder with the same files, says what they must be.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "otagate/cpp/status.hpp"
#include "sha256.hpp"
#include "store.hpp"
#include "subject.hpp"

namespace otagate::kit {
namespace {

constexpr std::uint64_t kMostToFetch = 64u << 20;

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
  };
}

}  // namespace otagate::kit

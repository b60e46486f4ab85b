#include "store.hpp"

#include <algorithm>
#include <set>

#include "otagate/cpp/status.hpp"
#include "subject.hpp"

namespace otagate::kit {

using sdk::make_struct;
using sdk::str;

Store::Store(Subject& subject)
    : table_(subject.storage()),
      instance_(subject, OTAGATE_STORAGE_1, subject.options()),
      device_(subject.setting("assigned_device")) {
  instance_.must_exist();
  auto caps = make_struct<otagate_store_caps>();
  if (table_.caps) table_.caps(instance_.self(), &caps);
  caps_ = caps;
  if (!device_) return;
  expect(table_.watch != nullptr, "the configuration has an assigned_device, and the store no watch()");
  const auto watched = ended(instance_.call(std::make_shared<Call>(),
                                            [this](otagate_call handle) {
                                              auto request = make_struct<otagate_watch_request>();
                                              request.device = str(*device_);
                                              table_.watch(instance_.self(), handle, &request);
                                            }),
                             "watch");
  expect(watched->ended.status == OTAGATE_OK, "watch() failed: " + watched->ended.message);
}

std::vector<ListedObject> Store::assigned() {
  std::vector<ListedObject> all = instance_.assigned(kPatience);
  expect(!all.empty(), "nothing was assigned to device '" + *device_ + "'");
  std::set<std::string> keys;
  std::erase_if(all, [&](const ListedObject& object) { return !keys.insert(object.key).second; });
  return all;
}

void Store::finish() {
  instance_.destroy();
  instance_.no_violations();
}

std::shared_ptr<Call> Store::start_list(const std::string& cursor, std::uint32_t limit) {
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

std::vector<ListedObject> Store::list_all(std::uint32_t limit) {
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
    if (call->ended.text.empty()) return out.empty() && device_ ? assigned() : out;
    cursor = call->ended.text;
    expect(cursors.insert(cursor).second, "list() gave the same cursor twice: it would never end");
    expect(cursors.size() < 10'000, "the listing has more than 10,000 pages; point it to a smaller place");
  }
}

std::shared_ptr<Call> Store::start_fetch(const std::string& key, const std::string& token, Range range,
                                         std::function<std::uint32_t(std::uint64_t)> answer) {
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

std::shared_ptr<Call> Store::fetch(const std::string& key, const std::string& token, Range range) {
  return ended(start_fetch(key, token, range), "fetch");
}

std::string Store::whole(const ListedObject& object) {
  Range range;
  if (can(OTAGATE_STORE_RANGES) && object.size != OTAGATE_SIZE_UNKNOWN && object.size > 0)
    range.length = object.size;
  const auto call = fetch(object.key, object.change_token, range);
  expect(call->ended.status == OTAGATE_OK, "fetching '" + object.key + "' failed: " + call->ended.message);
  return call->bytes;
}

std::shared_ptr<Call> Store::ended(std::shared_ptr<Call> call, const char* what, milliseconds patience) {
  expect(call->wait(patience),
         std::string(what) + "() did not complete within " + std::to_string(patience.count() / 1000) + " s");
  return call;
}

ListedObject Store::object(std::uint64_t at_least) {
  auto all = list_all();
  expect(!all.empty(), "the store is empty; point the configuration to a place with some objects");
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  for (const ListedObject& one : all)
    if (one.size != OTAGATE_SIZE_UNKNOWN && one.size >= at_least) return one;
  for (auto one = all.rbegin(); one != all.rend(); ++one)
    if (one->size != OTAGATE_SIZE_UNKNOWN) return *one;
  return all.front();
}

}  // namespace otagate::kit

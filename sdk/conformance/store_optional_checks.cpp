// What a store may have: stat, presign, publish, assignments. Those it does not claim it must not have.
#include <sys/mman.h>
#include <unistd.h>

#include <set>

#include "otagate/cpp/status.hpp"
#include "sha256.hpp"
#include "store.hpp"

namespace otagate::kit {
namespace {

using sdk::make_struct;
using sdk::str;

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

}  // namespace

std::vector<Check> store_optional_checks() {
  return {
      {"store.stat", "stat() says what list() said", stats},
      {"store.presign", "URLs for GET and HEAD", presigns},
      {"store.publish", "what is published comes back", publishes},
      {"store.assignments", "watch, feedback, unwatch", assigns},
      {"store.claims", "caps() claims what is there and nothing else", unsupported},
  };
}

}  // namespace otagate::kit

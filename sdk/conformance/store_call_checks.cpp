// How calls of a store end: cancelled, past their deadline, before a sink that stalls or stops, from many
// threads.
#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "resources.hpp"
#include "store.hpp"

namespace otagate::kit {
namespace {

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

std::vector<Check> store_call_checks() {
  return {
      {"store.cancel", "a fetch that is cancelled in its sink completes once and in time", cancel_in_sink},
      {"store.cancel-at-once", "calls that are cancelled as soon as they are made complete once",
       cancel_at_once},
      {"store.deadline", "a fetch past its deadline ends", deadline},
      {"store.sink-stalls", "a sink that stalls", sink_stalls},
      {"store.sink-aborts", "a sink that aborts", sink_aborts},
      {"store.threads", "every call from 8 threads", threads},
      {"store.release", "destroy() leaves no descriptor and no thread", releases},
  };
}

}  // namespace otagate::kit

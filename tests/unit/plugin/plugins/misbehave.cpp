// A store that breaks the rules of the ABI, one at a time: the option "mode" says which. Written against
// the bare C headers, because the C++ layer would not let it.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "otagate/storage.h"

#ifndef MISBEHAVE_ID
#define MISBEHAVE_ID "misbehave"
#define MISBEHAVE_FLAGS (OTAGATE_PLUGIN_BLOCKING | OTAGATE_PLUGIN_THREAD_SAFE)
#endif

namespace {

otagate_str text(std::string_view from) {
  otagate_str out{};
  out.data = from.data();
  out.size = from.size();
  return out;
}

struct Store {
  const otagate_host* host = nullptr;
  const otagate_storage_host* store = nullptr;
  otagate_instance instance = 0;
  std::string mode;
  std::vector<std::thread> threads;
  std::atomic<otagate_call> open{0};  // completed by cancel() or release()
  std::atomic<unsigned> inside{0};    // calls at the same time
  std::atomic<unsigned> most_inside{0};
};

std::string option(const otagate_host* host, otagate_instance instance, std::string_view path) {
  otagate_value value{};
  value.size = sizeof value;
  if (host->option(host->context, instance, text(path), &value) != OTAGATE_OK ||
      value.kind != OTAGATE_VALUE_STRING)
    return {};
  return std::string(value.string.data, value.string.size);
}

void finish(Store& self, otagate_call call, std::uint32_t status = OTAGATE_OK,
            std::string_view message = {}) {
  otagate_completion completion{};
  completion.size = sizeof completion;
  completion.status = status;
  completion.message = text(message);
  self.host->complete(self.host->context, call, &completion);
}

// Blocks until the host says that the call is over, or for good.
void wait_for_stop(Store& self, otagate_call call) {
  while (self.host->poll(self.host->context, call) != OTAGATE_STOP)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

struct Inside {
  explicit Inside(Store& store) : self(store) {
    const unsigned now = ++self.inside;
    for (unsigned most = self.most_inside;
         now > most && !self.most_inside.compare_exchange_weak(most, now);) {
    }
  }
  ~Inside() { --self.inside; }
  Store& self;
};

void list(void* raw, otagate_call call, const otagate_list_request* request) {
  Store& self = *static_cast<Store*>(raw);
  Inside inside(self);
  if (self.mode == "throw") throw std::runtime_error("list is broken");
  if (self.mode == "throw_int") throw 5;
  if (self.mode == "never") return;
  if (self.mode == "hang") {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  if (self.mode == "block") {
    wait_for_stop(self, call);
    return finish(self, call, OTAGATE_CANCELLED, "stopped");
  }
  if (self.mode == "late") {  // completes 150 ms after it was told to stop
    wait_for_stop(self, call);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    return finish(self, call);
  }
  if (self.mode == "cancellable") {
    self.open = call;
    return;
  }
  if (self.mode == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (self.mode == "unknown_status") return finish(self, call, 4711, "what is that");
  if (self.mode == "unknown_call") finish(self, call + 0x100000000ull);
  if (self.mode == "thread") {
    self.threads.emplace_back([&self, call] { finish(self, call); });
    return;
  }
  otagate_object object{};
  object.size = sizeof object;
  object.flags = OTAGATE_OBJECT_RANGES;
  object.change_token = text("t1");
  object.object_size = 100;
  const std::string long_key(2000, 'k');
  const std::string_view metadata("Name\0sensor\0version\0001.0.0\0", 26);
  const std::string_view locators("one\0two\0", 8);
  const unsigned count = request->cursor.size != 0 ? 0 : self.mode == "flood" ? 100'000 : 3;
  for (unsigned i = 0; i < count; ++i) {
    const std::string key = self.mode == "long_key" && i == 1 ? long_key : "object-" + std::to_string(i);
    object.key = text(key);
    object.metadata = text(metadata);
    object.locators = text(locators);
    if (self.store->object(self.host->context, call, &object) == OTAGATE_STOP) break;
  }
  otagate_list_result result{};
  result.size = sizeof result;
  const std::string cursor = request->cursor.size == 0 ? "next" : "";
  result.cursor = text(cursor);
  otagate_completion completion{};
  completion.size = sizeof completion;
  completion.result = &result;
  self.host->complete(self.host->context, call, &completion);
  if (self.mode == "twice") self.host->complete(self.host->context, call, &completion);
}

void fetch(void* raw, otagate_call call, const otagate_fetch_request* request) {
  Store& self = *static_cast<Store*>(raw);
  Inside inside(self);
  otagate_fetch_info info{};
  info.size = sizeof info;
  info.total = 1'000'000;
  info.change_token = text("t1");
  self.store->begin(self.host->context, call, &info);
  const std::string bytes(self.mode == "big_sink" ? 70'000 : 10'000, 'x');
  std::uint64_t left = request->length;
  while (left > 0) {
    const std::uint64_t part = left < bytes.size() ? left : bytes.size();
    const std::uint32_t answer = self.store->sink(self.host->context, call, bytes.data(), part);
    if (answer == OTAGATE_STOP) return finish(self, call, OTAGATE_CANCELLED, "stopped");
    if (answer == OTAGATE_PAUSE) {
      self.open = call;
      return;
    }
    left -= part;
  }
  if (self.mode == "sink_after_end") {
    finish(self, call);
    self.store->sink(self.host->context, call, bytes.data(), 10);
    return;
  }
  finish(self, call);
}

void cancel(void* raw, otagate_call call) {
  Store& self = *static_cast<Store*>(raw);
  if (self.mode == "cancellable" && self.open.exchange(0) == call)
    finish(self, call, OTAGATE_CANCELLED, "as told");
}

void resume(void* raw, otagate_call call) {
  Store& self = *static_cast<Store*>(raw);
  if (self.open.exchange(0) == call) finish(self, call);
}

void caps(void*, otagate_store_caps* out) {
  out->flags = OTAGATE_STORE_RANGES | OTAGATE_STORE_LOCAL;
  out->min_segment = 4096;
  out->parallel = 3;
}

std::uint32_t create(const otagate_host* host, otagate_instance instance, const char*, void** out,
                     otagate_error* error) {
  auto self = std::make_unique<Store>();
  self->host = host;
  self->instance = instance;
  self->store =
      static_cast<const otagate_storage_host*>(host->interface(host->context, OTAGATE_STORAGE_HOST_1));
  self->mode = option(host, instance, "mode");
  if (self->mode == "throw_create") throw std::runtime_error("cannot be made");
  if (self->mode == "hang_create") std::this_thread::sleep_for(std::chrono::hours(1));
  if (self->mode == "refuse") {
    const char why[] = "option 'path' is missing";
    std::memcpy(error->text, why, sizeof why - 1);
    error->text_size = sizeof why - 1;
    error->status = OTAGATE_INVALID;
    return OTAGATE_INVALID;
  }
  if (self->mode == "metrics") {
    host->metric(host->context, instance, text("requests"), 0, 2);
    host->metric(host->context, instance, text("requests"), 0, 3);
    host->metric(host->context, instance, text("depth"), 1, 7);
    host->metric(host->context, instance, text("Bad Name"), 1, 7);
  }
  if (self->mode == "options") {
    std::string all;
    for (const char* path : {"mode", "list.1", "list.7", "table.key", ""})
      all += option(host, instance, path) + ";";
    otagate_value table{};
    table.size = sizeof table;
    host->option(host->context, instance, text("table"), &table);
    all += std::to_string(table.kind) + ":" + std::to_string(table.integer) + ":" +
           std::string(table.string.data);
    otagate_event event{};
    event.size = sizeof event;
    event.kind = text("options");
    event.message = text(all);
    host->event(host->context, instance, &event);
  }
  *out = self.release();
  return OTAGATE_OK;
}

void destroy(void* raw) {
  auto* self = static_cast<Store*>(raw);
  for (std::thread& thread : self->threads) thread.join();
  if (self->mode == "count") {
    otagate_event event{};
    event.size = sizeof event;
    event.kind = text("most_inside");
    const std::string most = std::to_string(self->most_inside);
    event.message = text(most);
    self->host->event(self->host->context, self->instance, &event);
  }
  if (self->mode == "hang_destroy") std::this_thread::sleep_for(std::chrono::hours(1));
  delete self;
}

const void* interface(const char* id) {
  static const otagate_storage table = [] {
    otagate_storage out{};
    out.size = sizeof out;
    out.caps = &caps;
    out.list = &list;
    out.fetch = &fetch;
    out.cancel = &cancel;
    out.resume = &resume;
    return out;
  }();
  return std::strcmp(id, OTAGATE_STORAGE_1) == 0 ? &table : nullptr;
}

}  // namespace

extern "C" OTAGATE_EXPORT const otagate_plugin* otagate_plugin_entry(std::uint32_t major, std::uint32_t) {
#ifdef MISBEHAVE_REFUSES
  return major == 99 ? reinterpret_cast<const otagate_plugin*>(&interface) : nullptr;
#endif
  if (major != OTAGATE_ABI_MAJOR) return nullptr;
  static const otagate_plugin plugin = [] {
    otagate_plugin out{};
    out.size = sizeof out;
    out.flags = MISBEHAVE_FLAGS;
    out.id = text(MISBEHAVE_ID);
    out.version = text("0.1.0");
    out.summary = text("breaks rules");
    out.options_schema = text(R"({"type": "object"})");
    out.interface = &interface;
    out.create = &create;
    out.destroy = &destroy;
    return out;
  }();
  return &plugin;
}

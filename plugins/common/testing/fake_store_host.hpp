// A gateway for tests of stores: makes the calls of the C ABI and keeps what comes back.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/testing/assignments_taken.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::testing {

using OptionValue = std::variant<std::string, std::int64_t, bool, std::vector<std::string>,
                                 std::vector<std::map<std::string, std::string>>>;

struct Ended {
  std::uint32_t status = OTAGATE_INTERNAL;
  std::string message{};
  std::uint64_t retry_after_ms = 0;
  int completions = 0;
};

struct Listed : Ended {
  std::vector<sdk::Object> objects{};
  std::string cursor{};

  const sdk::Object* find(const std::string& key) const {
    for (const sdk::Object& object : objects) {
      if (object.key == key) return &object;
    }
    return nullptr;
  }
};

struct Fetched : Ended {
  std::string bytes{};
  std::optional<std::uint64_t> total{};
  std::string change_token{};
};

// One instance of one plugin. Calls block until the plugin has completed them; several threads may
// make calls at the same time.
class FakeStoreHost {
 public:
  explicit FakeStoreHost(std::map<std::string, OptionValue> options) : options_(std::move(options)) {
    storage_.size = sizeof storage_;
    storage_.object = [](void* self, otagate_call call, const otagate_object* raw) {
      return from(self).open(call).on_object(copy(*raw));
    };
    storage_.begin = [](void* self, otagate_call call, const otagate_fetch_info* info) {
      return from(self).open(call).on_begin(info->total, std::string(sdk::view(info->change_token)));
    };
    storage_.sink = [](void* self, otagate_call call, const void* data, std::uint64_t size) {
      return from(self).open(call).on_bytes({static_cast<const char*>(data), size});
    };
    storage_.changed = [](void* self, otagate_instance, otagate_str key) {
      const std::scoped_lock lock(from(self).mutex_);
      from(self).changed_.emplace_back(sdk::view(key));
      from(self).news_.notify_all();
    };
    storage_.assignment = [](void* self, otagate_instance, const otagate_assignment* wish) {
      return from(self).assignments_.begin(*wish);
    };
    storage_.assignment_part = [](void* self, std::uint64_t handle, const otagate_assignment_part* part) {
      from(self).assignments_.part(handle, *part, copy(*part->object));
    };
    storage_.assignment_commit = [](void* self, std::uint64_t handle) {
      from(self).assignments_.commit(handle);
    };
    storage_.assignment_cancel = [](void* self, otagate_instance, otagate_str external_id) {
      from(self).assignments_.cancel(external_id);
    };
    host_.size = sizeof host_;
    host_.abi_minor = OTAGATE_ABI_MINOR;
    host_.context = this;
    host_.complete = [](void* self, otagate_call call, const otagate_completion* completion) {
      from(self).open(call).on_complete(*completion);
    };
    host_.poll = [](void* self, otagate_call call) {
      Open& open = from(self).open(call);
      return open.cancelled && open.cancelled() ? OTAGATE_STOP : OTAGATE_CONTINUE;
    };
    host_.option = [](void* self, otagate_instance, otagate_str path, otagate_value* value) {
      return from(self).option(std::string(sdk::view(path)), value);
    };
    host_.log = [](void* self, otagate_instance, std::uint32_t, otagate_str message) {
      const std::scoped_lock lock(from(self).mutex_);
      from(self).logs_.emplace_back(sdk::view(message));
    };
    host_.event = [](void* self, otagate_instance, const otagate_event* event) {
      const std::scoped_lock lock(from(self).mutex_);
      from(self).events_.emplace_back(sdk::view(event->kind));
      from(self).logs_.emplace_back(sdk::view(event->message));
      from(self).news_.notify_all();
    };
    host_.health = [](void* self, otagate_instance, std::uint32_t status, otagate_str message) {
      const std::scoped_lock lock(from(self).mutex_);
      from(self).health_ = {status, std::string(sdk::view(message))};
      from(self).news_.notify_all();
    };
    host_.now = [](void* self, std::uint32_t* synchronised) {
      *synchronised = 1;
      using namespace std::chrono;
      return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count() +
             from(self).clock_offset_ms;
    };
    host_.interface = [](void* self, const char* id) -> const void* {
      return std::string(id) == OTAGATE_STORAGE_HOST_1 ? &from(self).storage_ : nullptr;
    };
  }
  ~FakeStoreHost() {
    if (self_) plugin_->destroy(self_);
  }
  FakeStoreHost(const FakeStoreHost&) = delete;
  FakeStoreHost& operator=(const FakeStoreHost&) = delete;

  // The plugin that the test program is linked with.
  Ended create() { return create(otagate_plugin_entry(OTAGATE_ABI_MAJOR, OTAGATE_ABI_MINOR)); }
  Ended create(const otagate_plugin* plugin) {
    plugin_ = plugin;
    storage_calls_ = static_cast<const otagate_storage*>(plugin->interface(OTAGATE_STORAGE_1));
    auto error = sdk::make_struct<otagate_error>();
    const std::uint32_t status = plugin->create(&host_, 1, OTAGATE_STORAGE_1, &self_, &error);
    if (status != OTAGATE_OK) self_ = nullptr;
    return {status, std::string(error.text, error.text_size), 0, 1};
  }

  otagate_store_caps caps() {
    auto caps = sdk::make_struct<otagate_store_caps>();
    storage_calls_->caps(self_, &caps);
    return caps;
  }

  Listed list(const std::string& cursor = "", std::uint32_t limit = 1000,
              std::function<bool()> cancelled = {}) {
    Listed result;
    Open call;
    call.cancelled = std::move(cancelled);
    call.on_object = [&](sdk::Object object) {
      result.objects.push_back(std::move(object));
      return OTAGATE_CONTINUE;
    };
    auto request = sdk::make_struct<otagate_list_request>();
    request.cursor = sdk::str(cursor);
    request.limit = limit;
    run(
        call, result, [&](otagate_call id) { storage_calls_->list(self_, id, &request); },
        [&](const void* raw) {
          result.cursor = sdk::view(static_cast<const otagate_list_result*>(raw)->cursor);
        });
    return result;
  }

  // All pages; ends at the first that fails.
  Listed list_all(std::uint32_t limit = 1000) {
    Listed all;
    do {
      Listed page = list(all.cursor, limit);
      std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all.objects));
      page.objects = std::move(all.objects);
      all = std::move(page);
    } while (all.status == OTAGATE_OK && !all.cursor.empty());
    return all;
  }

  // `sink` may look at the bytes and say OTAGATE_STOP.
  Fetched fetch(const std::string& key, const std::string& token = "", std::uint64_t offset = 0,
                std::uint64_t length = 0, std::function<std::uint32_t(std::string_view)> sink = {},
                std::function<bool()> cancelled = {}, const std::string& locator = "") {
    Fetched result;
    Open call;
    call.cancelled = std::move(cancelled);
    call.on_begin = [&](std::uint64_t total, std::string change_token) {
      result.total = total;
      result.change_token = std::move(change_token);
      return OTAGATE_CONTINUE;
    };
    call.on_bytes = [&](std::string_view bytes) {
      result.bytes.append(bytes);
      return sink ? sink(bytes) : OTAGATE_CONTINUE;
    };
    auto request = sdk::make_struct<otagate_fetch_request>();
    request.key = sdk::str(key);
    request.locator = sdk::str(locator);
    request.change_token = sdk::str(token);
    request.offset = offset;
    request.length = length;
    run(call, result, [&](otagate_call id) { storage_calls_->fetch(self_, id, &request); });
    return result;
  }

  Listed stat(const std::string& key) {
    auto request = sdk::make_struct<otagate_stat_request>();
    request.key = sdk::str(key);
    return one_object([&](otagate_call id) { storage_calls_->stat(self_, id, &request); });
  }

  Listed publish(int fd, std::uint64_t size, const std::string& sha256, const std::string& key,
                 const sdk::Pairs& metadata) {
    const std::string packed = sdk::pack(metadata);
    auto request = sdk::make_struct<otagate_publish_request>();
    request.fd = fd;
    request.blob_size = size;
    request.sha256 = sdk::str(sha256);
    request.key = sdk::str(key);
    request.metadata = sdk::str(packed);
    return one_object([&](otagate_call id) { storage_calls_->publish(self_, id, &request); });
  }

  // The URL is in `bytes`.
  Fetched presign(const std::string& key, const std::string& token, bool head, std::uint64_t expiry_ms) {
    Fetched result;
    Open call;
    auto request = sdk::make_struct<otagate_presign_request>();
    request.key = sdk::str(key);
    request.change_token = sdk::str(token);
    request.method = head ? OTAGATE_METHOD_HEAD : OTAGATE_METHOD_GET;
    request.expiry_ms = expiry_ms;
    run(
        call, result, [&](otagate_call id) { storage_calls_->presign(self_, id, &request); },
        [&](const void* raw) { result.bytes = sdk::view(static_cast<const otagate_presigned*>(raw)->url); });
    return result;
  }

  Ended watch(const std::string& device, const sdk::Pairs& attributes = {}) {
    return watching(storage_calls_->watch, device, attributes);
  }
  Ended unwatch(const std::string& device) { return watching(storage_calls_->unwatch, device, {}); }
  Ended feedback(const sdk::Feedback& said) {
    Ended result;
    Open call;
    auto raw = sdk::make_struct<otagate_feedback>();
    raw.kind = said.kind;
    raw.external_id = sdk::str(said.external_id);
    raw.device = sdk::str(said.device);
    raw.done = said.done;
    raw.total = said.total;
    raw.at_ms = said.at_ms;
    raw.code = said.code;
    raw.message = sdk::str(said.message);
    run(call, result, [&](otagate_call id) { storage_calls_->feedback(self_, id, &raw); });
    return result;
  }
  AssignmentsTaken& assignments() { return assignments_; }

  // Waits until `done` is true of what the plugin said (under the lock); false: it was not in time.
  bool wait(const std::function<bool(const FakeStoreHost&)>& done,
            std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    return news_.wait_for(lock, limit, [&] { return done(*this); });
  }
  // Within wait(), or when no call and no thread of the plugin is active.
  const std::vector<std::string>& changed() const { return changed_; }
  const std::vector<std::string>& events() const { return events_; }
  const std::vector<std::string>& logs() const { return logs_; }
  std::uint32_t health() const { return health_.first; }
  bool was_changed(const std::string& key) const {
    return std::find(changed_.begin(), changed_.end(), key) != changed_.end();
  }
  void forget_changes() {
    const std::scoped_lock lock(mutex_);
    changed_.clear();
  }

  std::int64_t clock_offset_ms = 0;  // of now(); set before calls

 private:
  struct Open {
    std::function<bool()> cancelled{};
    std::function<std::uint32_t(sdk::Object)> on_object{};
    std::function<std::uint32_t(std::uint64_t, std::string)> on_begin{};
    std::function<std::uint32_t(std::string_view)> on_bytes{};
    std::function<void(const otagate_completion&)> on_complete{};
  };

  static FakeStoreHost& from(void* self) { return *static_cast<FakeStoreHost*>(self); }

  static sdk::Object copy(const otagate_object& raw) {
    sdk::Object object;
    object.key = sdk::view(raw.key);
    object.change_token = sdk::view(raw.change_token);
    object.sha256 = sdk::view(raw.sha256);
    object.size = raw.object_size;
    object.modified_ms = raw.modified_ms;
    object.ranges = raw.flags & OTAGATE_OBJECT_RANGES;
    object.has_stat = raw.flags & OTAGATE_OBJECT_STAT;
    object.metadata = sdk::unpack(sdk::view(raw.metadata));
    return object;
  }

  Open& open(otagate_call call) {
    const std::scoped_lock lock(mutex_);
    return *calls_.at(call);
  }

  template <class Start>
  void run(Open& call, Ended& result, Start start, std::function<void(const void*)> keep = {}) {
    call.on_complete = [&](const otagate_completion& completion) {
      ++result.completions;
      result.status = completion.status;
      result.message = sdk::view(completion.message);
      result.retry_after_ms = completion.retry_after_ms;
      if (keep && completion.result) keep(completion.result);
    };
    otagate_call id = 0;
    {
      const std::scoped_lock lock(mutex_);
      id = ++last_call_;
      calls_[id] = &call;
    }
    start(id);
    const std::scoped_lock lock(mutex_);
    calls_.erase(id);
  }

  Ended watching(void (*function)(void*, otagate_call, const otagate_watch_request*),
                 const std::string& device, const sdk::Pairs& attributes) {
    Ended result;
    Open call;
    const std::string packed = sdk::pack(attributes);
    auto request = sdk::make_struct<otagate_watch_request>();
    request.device = sdk::str(device);
    request.attributes = sdk::str(packed);
    run(call, result, [&](otagate_call id) { function(self_, id, &request); });
    return result;
  }

  template <class Start>
  Listed one_object(Start start) {
    Listed result;
    Open call;
    call.on_object = [&](sdk::Object object) {
      result.objects.push_back(std::move(object));
      return OTAGATE_CONTINUE;
    };
    run(call, result, start);
    return result;
  }

  std::uint32_t option(const std::string& path, otagate_value* value) const {
    auto out = sdk::make_struct<otagate_value>();
    // "name", "name.0", or "name.0.member" of a list of tables.
    std::string_view name = path;
    std::optional<std::size_t> index;
    std::string member;
    if (const std::size_t dot = path.find('.'); dot != std::string::npos) {
      name = name.substr(0, dot);
      index = std::stoul(path.substr(dot + 1));
      if (const std::size_t second = path.find('.', dot + 1); second != std::string::npos)
        member = path.substr(second + 1);
    }
    const auto found = options_.find(std::string(name));
    if (found == options_.end()) return OTAGATE_NOT_FOUND;
    if (const auto* text = std::get_if<std::string>(&found->second)) {
      out.kind = OTAGATE_VALUE_STRING;
      out.string = sdk::str(*text);
    } else if (const auto* number = std::get_if<std::int64_t>(&found->second)) {
      out.kind = OTAGATE_VALUE_INTEGER;
      out.integer = *number;
    } else if (const auto* flag = std::get_if<bool>(&found->second)) {
      out.kind = OTAGATE_VALUE_BOOLEAN;
      out.integer = *flag ? 1 : 0;
    } else if (const auto* tables =
                   std::get_if<std::vector<std::map<std::string, std::string>>>(&found->second)) {
      out.kind = OTAGATE_VALUE_LIST;
      out.integer = static_cast<std::int64_t>(tables->size());
      if (index) {
        if (*index >= tables->size() || !tables->at(*index).contains(member)) return OTAGATE_NOT_FOUND;
        out.kind = OTAGATE_VALUE_STRING;
        out.string = sdk::str(tables->at(*index).at(member));
      }
    } else {
      const auto& list = std::get<std::vector<std::string>>(found->second);
      if (index && *index >= list.size()) return OTAGATE_NOT_FOUND;
      out.kind = index ? OTAGATE_VALUE_STRING : OTAGATE_VALUE_LIST;
      out.integer = static_cast<std::int64_t>(list.size());
      if (index) out.string = sdk::str(list[*index]);
    }
    sdk::write_struct(value, out);
    return OTAGATE_OK;
  }

  const std::map<std::string, OptionValue> options_;
  AssignmentsTaken assignments_;
  otagate_host host_ = {};
  otagate_storage_host storage_ = {};
  const otagate_plugin* plugin_ = nullptr;
  const otagate_storage* storage_calls_ = nullptr;
  void* self_ = nullptr;

  std::mutex mutex_;
  std::condition_variable news_;
  otagate_call last_call_ = 0;  // what follows: under mutex_
  std::map<otagate_call, Open*> calls_;
  std::vector<std::string> changed_;
  std::vector<std::string> events_;
  std::vector<std::string> logs_;
  std::pair<std::uint32_t, std::string> health_ = {OTAGATE_OK, ""};
};

}  // namespace otagate::testing

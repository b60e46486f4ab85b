// StorageInstance over a plugin's otagate_storage table.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "plugin/instance_base.hpp"
#include "plugin/storage.hpp"

namespace otagate::plugin {

class StorageBridge final : public InstanceBase, public StorageInstance {
 public:
  StorageBridge(InstanceSpec spec, std::shared_ptr<const Library> library, Surroundings surroundings,
                StorageListener& listener);

  // create(), then caps().
  Result<void> start();

  const std::string& name() const override { return spec().name; }
  InstanceStatus status() const override { return base_status(); }
  StoreCaps caps() const override { return caps_; }
  bool may_block() const override { return library().blocking(); }

  CallId list(std::string cursor, std::uint32_t limit, std::chrono::milliseconds timeout,
              Reply<ListPage> reply) override;
  CallId stat(std::string key, std::chrono::milliseconds timeout, Reply<Object> reply) override;
  CallId fetch(FetchRequest request, std::chrono::milliseconds timeout, std::shared_ptr<FetchSink> sink,
               Reply<void> reply) override;
  CallId presign(std::string key, std::string change_token, bool head, std::chrono::milliseconds expiry,
                 std::chrono::milliseconds timeout, Reply<std::string> reply) override;
  CallId publish(PublishRequest request, std::chrono::milliseconds timeout, Reply<Object> reply) override;
  CallId watch(std::string device, Pairs attributes, std::chrono::milliseconds timeout,
               Reply<void> reply) override;
  CallId unwatch(std::string device, std::chrono::milliseconds timeout, Reply<void> reply) override;
  CallId feedback(Feedback feedback, std::chrono::milliseconds timeout, Reply<void> reply) override;

  void cancel(CallId call) override { cancel_call(call); }
  void resume(CallId call) override;
  void close(std::chrono::milliseconds grace, std::function<void()> done) override {
    close_instance(grace, std::move(done));
  }

 private:
  friend struct StorageHostFunctions;
  struct ObjectsCall;
  struct FetchCall;
  struct Building;  // an assignment whose parts are not complete

  const otagate_storage& table() const { return *library().storage(); }
  template <class Request>
  using Function = void (*)(void*, otagate_call, const Request*);
  // A call with a reply that carries nothing, of a function that the plugin may not have.
  template <class Request, class Fill>
  CallId simple(const char* what, Function<Request> function, std::chrono::milliseconds timeout, Fill fill,
                Reply<void> reply);
  template <class Request, class Fill>
  CallId one_object(const char* what, Function<Request> function, std::chrono::milliseconds timeout,
                    Fill fill, Reply<Object> reply);

  // The host's table; see storage.h.
  std::uint32_t object(otagate_call call, const otagate_object* object);
  std::uint32_t begin(otagate_call call, const otagate_fetch_info* info);
  std::uint32_t sink(otagate_call call, const void* data, std::uint64_t size);
  std::uint64_t assignment(const otagate_assignment* assignment);
  void assignment_part(std::uint64_t handle, const otagate_assignment_part* part);
  void assignment_commit(std::uint64_t handle);

  // Runs `take` with the fetch's sink, keeping the reply back meanwhile.
  template <class Take>
  std::uint32_t into_sink(otagate_call call, std::uint64_t size, Take take);

  const void* host_interface(std::string_view id) override;
  void plugin_cancel(void* self, otagate_call call) override;

  StorageListener& listener_;
  StoreCaps caps_;  // constant once started
  HandleTable<std::shared_ptr<Building>> building_{64};
};

// An object as the plugin says it; nullopt when it breaks a bound.
std::optional<Object> to_object(const otagate_object* raw);

}  // namespace otagate::plugin

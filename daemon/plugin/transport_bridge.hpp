// TransportInstance over a plugin's otagate_transport table.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "plugin/instance_base.hpp"
#include "plugin/shared_board.hpp"
#include "plugin/transport.hpp"

namespace otagate::plugin {

class TransportBridge final : public InstanceBase, public TransportInstance {
 public:
  TransportBridge(InstanceSpec spec, std::shared_ptr<const Library> library, Surroundings surroundings,
                  TransportServices& services);

  const std::string& name() const override { return spec().name; }
  InstanceStatus status() const override { return base_status(); }
  bool streaming() const override { return (table().flags & OTAGATE_TRANSPORT_STREAMING) != 0; }

  void start(std::chrono::milliseconds timeout, Reply<void> reply) override;
  void reload(std::chrono::milliseconds timeout, Reply<void> reply) override;
  void nudge(std::string device) override;
  void revoke(std::uint64_t attempt, std::uint32_t reason) override;
  void catalog_changed() override;
  void credentials_changed() override { board_.bump_epoch(); }
  void close(std::chrono::milliseconds drain, std::function<void()> done) override;

 private:
  friend struct TransportHostFunctions;
  struct Open;   // a blob the plugin holds
  struct Parts;  // an offer's, as the plugin sees them

  const otagate_transport& table() const { return *library().transport(); }
  void call(const char* what, std::chrono::milliseconds timeout, Invoke invoke, Reply<void> reply,
            During during = During::running);

  // The host's table; see transport.h.
  otagate_call check_credential(const otagate_credential* credential, const otagate_reply* reply);
  otagate_call psk(const otagate_str& identity, const otagate_reply* reply);
  otagate_call resolve(const otagate_resolve_request* request, const otagate_reply* reply);
  otagate_call catalog(const otagate_catalog_request* request, const otagate_reply* reply);
  otagate_call blob_open(const otagate_open_request* request, const otagate_reply* reply);
  otagate_call blob_want(const otagate_want_request* request, const otagate_reply* reply);
  void blob_close(otagate_reader reader);
  void blob_bad(otagate_reader reader, const otagate_str& why);
  otagate_call presign(const otagate_redirect_request* request, const otagate_reply* reply);
  otagate_call check_in(const otagate_check_in* check_in, const otagate_reply* reply);
  std::uint32_t offer_part(std::uint64_t attempt, std::uint32_t index, otagate_offer_part* part);
  otagate_call progress(const otagate_progress* progress, const otagate_reply* reply);

  // Opens a call of the plugin's and hands its id and a Reply<T> for it to `start`; what the Reply gets
  // is delivered by `deliver(value, reply)`, an error by its status.
  template <class T, class Start, class Deliver>
  otagate_call serve(const otagate_reply* reply, otagate_reader reader, Start start, Deliver deliver);
  // A request that breaks a bound is answered with OTAGATE_INVALID.
  otagate_call refuse_call(const otagate_reply* reply, const char* why);
  void keep_offer(const Offer& offer);
  void forget_offer(std::uint64_t attempt);

  const void* host_interface(std::string_view id) override;
  void plugin_cancel(void* self, otagate_call call) override;
  void take_back() override;
  std::uint64_t open_readers() const override { return readers_.size(); }

  TransportServices& services_;
  SharedBoard board_;
  HandleTable<std::shared_ptr<Open>> readers_{65536};
  std::atomic<bool> hint_queued_{false};  // a catalog_changed() is on its way

  std::mutex offers_mutex_;                                                    // guards what follows
  std::map<std::uint64_t, std::vector<std::shared_ptr<const Parts>>> offers_;  // by attempt, newest last
};

}  // namespace otagate::plugin

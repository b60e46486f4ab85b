// The plugin ABI behind the Gateway that routes see.
#pragma once

#include <memory>
#include <unordered_map>

#include "gateway.hpp"
#include "inbox.hpp"

namespace otagate::coap {

// Replies come on any thread and go through the inbox. Listener's thread, but for the replies.
class HostGateway final : public Gateway {
 public:
  // Both outlive the last reply, not only this object.
  HostGateway(const sdk::TransportHost& host, Inbox& inbox, bool prereleases);

  std::uint64_t catalog_version() const override;
  void resolve(const ResolveQuery& query, std::function<void(Outcome<std::vector<Firmware>>)> done) override;
  void catalog(const CatalogQuery& query, std::function<void(Outcome<FirmwarePage>)> done) override;
  void open(const OpenQuery& query, std::function<void(Outcome<OpenBlob>)> done) override;
  void want(std::uint64_t reader, std::uint64_t offset, std::uint64_t length,
            std::chrono::milliseconds deadline, std::function<void(Outcome<std::uint64_t>)> done) override;
  void report_bad(std::uint64_t reader, std::string_view why) override;
  void close(std::uint64_t reader) override;
  void check_credential(const sdk::Credential& credential,
                        std::function<void(Outcome<sdk::Principal>)> done) override;
  std::uint64_t epoch() const override { return host_.epoch(); }
  void run_pending() override { inbox_.run(); }
  void wait_pending(std::chrono::steady_clock::time_point deadline) override {
    inbox_.wait(deadline);
    inbox_.run();
  }

 private:
  // A callback for the host that hands its outcome over to the listener's thread.
  template <class T, class Done>
  auto through_inbox(Done done);

  const sdk::TransportHost& host_;
  Inbox& inbox_;
  const bool prereleases_;
  std::uint64_t next_reader_ = 1;
  std::unordered_map<std::uint64_t, sdk::Reader> readers_;
  // Replies that come when this object is gone find it empty.
  const std::shared_ptr<HostGateway*> self_;
  struct Revoke {
    std::shared_ptr<HostGateway*> self;
    ~Revoke() { *self = nullptr; }
  };
  const Revoke revoke_;
};

}  // namespace otagate::coap

// One I/O thread: its loop, its connections, and what they know in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/device_protocols/host_gateway.hpp"
#include "common/device_protocols/protocols.hpp"
#include "common/download_tracker/download_tracker.hpp"
#include "http/conditions.hpp"
#include "http/loop.hpp"
#include "http/lru.hpp"
#include "http/tls.hpp"
#include "otagate/cpp/transport_host.hpp"

struct sockaddr_storage;

namespace otagate::http {

class Connection;
class Server;

// A firmware as one principal got it for one request target, with what every answer repeats.
struct Entry {
  std::string target;  // as sent
  std::uint64_t principal = 0;
  std::uint64_t catalog = 0;  // the board's counters from before it was asked for
  std::uint64_t epoch = 0;
  sdk::Firmware firmware;
  std::string fields;  // entity_fields()
};
using EntryPtr = std::shared_ptr<const Entry>;
using PrincipalPtr = std::shared_ptr<const sdk::Principal>;

// Everything here belongs to the loop's thread.
class Worker {
 public:
  static constexpr std::size_t kMaxHead = 8192;    // of an answer
  static constexpr std::size_t kCopyBody = 16384;  // bodies up to this go out behind their head by one write

  Worker(Server& server, unsigned index, TlsContext tls);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Loop& loop() { return loop_; }
  Server& server() { return server_; }

  void listen(int fd);
  void use_tls(TlsContext tls) { tls_ = std::move(tls); }
  void set_retrying(bool on);
  // Takes nothing new; tells the server once nothing is left.
  void drain();
  // Ends what is left at once.
  void cut();
  bool draining() const { return draining_; }

  // ---- for connections
  // Of header_limit bytes, for input; of kMaxHead + kCopyBody bytes, for output. One request at a time.
  char* in_buffer() { return in_.get(); }
  char* out_buffer() { return out_.get(); }
  std::string_view date();

  bool fresh(const Entry& entry) const;
  EntryPtr find_entry(std::uint64_t principal, std::string_view target);
  void keep_entry(EntryPtr entry);
  void drop_entry(const Entry& entry);

  // Who an Authorization value stands for, as long as the epoch is the same; null: not known.
  PrincipalPtr find_principal(std::string_view authorization, std::uint64_t epoch);
  void keep_principal(std::string_view authorization, std::uint64_t epoch, PrincipalPtr principal);

  // The device protocol that a request target is for, or null. The target was not read by parse_target() yet.
  const plugins::devices::Protocol* protocol_for(std::string_view target) const;
  const plugins::devices::Protocol* protocol_for(const std::vector<std::string>& segments) const;
  plugins::devices::HostGateway& gateway() { return gateway_; }
  plugins::DownloadTracker& tracker() { return tracker_; }

  // Bodies of requests are held in memory before anything is done with them: all of this thread's together
  // are bounded. False: there is no room for so many bytes more.
  bool hold_body(std::size_t bytes);
  void drop_body(std::size_t bytes) { body_bytes_ -= bytes; }

  // Brackets every call to the host, so that drain() knows when the last one was answered.
  void call_started() { ++open_calls_; }
  void call_ended();

  void released(Connection& connection);

  struct Counts {
    std::uint64_t requests = 0;
    std::array<std::uint64_t, 6> answers{};  // by the status' first digit
    std::uint64_t bytes = 0;
    std::uint64_t refused = 0;  // connections
    std::uint64_t cut = 0;      // answers that ended short
  };
  Counts counts;

 private:
  struct Listener;
  struct Known {
    std::uint64_t epoch = 0;
    PrincipalPtr principal;
  };

  void accept_from(Listener& listener);
  void take(int fd, const sockaddr_storage& peer);
  bool evict_idle();
  void tick();
  void collect();
  void publish();
  void update_ticking();
  void check_drained();

  Server& server_;
  const unsigned index_;
  Loop loop_;
  TlsContext tls_;
  std::unique_ptr<char[]> in_;
  std::unique_ptr<char[]> out_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Connection>> all_;
  std::vector<Connection*> live_;
  std::vector<Connection*> closed_;  // in this batch: an event of theirs may still come
  std::vector<Connection*> free_;
  static constexpr std::size_t kMaxEntries = 1024;
  static constexpr std::size_t kMaxPrincipals = 1024;
  Lru<EntryPtr> entries_{kMaxEntries};
  Lru<Known> principals_{kMaxPrincipals};  // by SHA-256 of the Authorization value
  std::string key_;                        // scratch
  std::int64_t date_second_ = -1;
  std::array<char, kDateSize> date_{};
  const std::vector<std::unique_ptr<plugins::devices::Protocol>> protocols_;
  plugins::devices::HostGateway gateway_;
  plugins::DownloadTracker tracker_{gateway_};
  std::size_t body_bytes_ = 0;
  std::size_t open_calls_ = 0;
  bool retrying_ = false;
  bool paused_ = false;  // no descriptor was left: accepting goes on with the next tick
  bool draining_ = false;
  bool drained_ = false;
  Counts published_;
};

}  // namespace otagate::http

// One client's connection: requests in, answers out, one at a time.
//
// What a request needs from the gateway (who asks, which firmware, a reader, bytes that are not there
// yet) is gathered by serve(). Where something is missing it asks the host and returns; the reply is kept
// and serve() runs again from the start. So the usual request, for which everything is known already, is
// one pass without an allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/body.hpp"
#include "http/loop.hpp"
#include "http/problem.hpp"
#include "http/ranges.hpp"
#include "http/request.hpp"
#include "http/source_table.hpp"
#include "http/stream.hpp"
#include "http/target.hpp"
#include "http/worker.hpp"
#include "otagate/cpp/transport_host.hpp"

namespace otagate::http {

// Belongs to its worker's thread. Made once and used for one client after the other, so that a late
// reply of the host finds an object: it is told apart by its serial number.
class Connection final : public Watcher {
 public:
  explicit Connection(Worker& worker) : worker_(worker) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Takes the descriptor over.
  void open(int fd, const sockaddr_storage& peer, const Source& source, SSL_CTX* tls);
  // At once, whatever is going on.
  void close();
  void on_ready(std::uint32_t epoll_events) override;
  // Once a second: what has taken too long ends.
  void tick();
  // The answer at hand is the last one.
  void drain();

  // Waits for a request of which nothing has come yet.
  bool idle() const { return state_ == State::kReading && kept_.empty(); }
  std::uint64_t since_ms() const { return since_ms_; }

  std::size_t slot = 0;  // the worker's

 private:
  enum class State {
    kClosed,
    kHandshake,
    kReading,    // for (the rest of) a request's head
    kBody,       // for the rest of its body
    kAsking,     // for a reply of the host, before the answer began
    kHandling,   // for the answer of a device protocol
    kSending,    // for the peer to take more
    kStarved,    // for further bytes of the blob, in the middle of an answer
    kLingering,  // for the peer to read the answer and close
  };
  // A part of an answer: text, then bytes of the blob.
  struct Piece {
    std::string text;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  // The gateway as a protocol sees it while it handles the request at hand. Once the connection has gone on
  // from that, nothing is called back any more, and what waits for a check-in is cancelled.
  class Asker final : public plugins::devices::Gateway {
   public:
    explicit Asker(Connection& connection) : connection_(connection) {}
    void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override;
    void progress(const sdk::Progress& report,
                  std::function<void(sdk::Outcome<std::uint32_t>)> done) override;
    void read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset, std::uint32_t length,
              std::function<void(sdk::Outcome<std::string>)> done) override;
    void old_digests(std::uint64_t principal, std::uint64_t firmware,
                     std::function<void(sdk::Outcome<OldDigests>)> done) override;

   private:
    template <class T>
    std::function<void(sdk::Outcome<T>)> while_waited_for(std::function<void(sdk::Outcome<T>)> done);

    Connection& connection_;
  };

  // ---- connection.cpp: input, waiting, the end
  void set_state(State state, std::uint32_t epoll_events);
  void read_input();
  bool takes_input() const { return state_ == State::kReading || state_ == State::kBody; }
  void consume(std::string_view bytes);
  bool expect_body(const Request& request);
  bool take_body(std::string_view& bytes);
  void forget_body();
  void resume_input();
  void take_kept();
  void begin(std::string_view head);
  void again();
  void linger();
  bool check_pace();
  template <class Start, class Handle>
  void ask(State state, Start start, Handle handle);

  // ---- exchange.cpp: who asks for what
  void serve(const Request& request);
  void serve_protocol(const Request& request);
  bool authenticated(const Request& request);
  void look_up(const Request& request);
  void resolve(const Target& target, std::size_t rest);
  void resolve_blob(const Target& target, std::size_t rest);
  void resolve_by(const sdk::ResolveRequest& request);
  void list(const Target& target);
  void on_credential(sdk::Outcome<sdk::Principal> outcome);
  void on_resolved(sdk::Outcome<std::vector<sdk::Firmware>> outcome);
  void on_listed(const sdk::Outcome<sdk::FirmwarePage>& outcome);
  void on_presigned(const sdk::Outcome<std::string>& outcome);
  void on_opened(sdk::Outcome<sdk::Reader> outcome);
  void on_readable(const sdk::Outcome<std::uint64_t>& outcome);
  void on_fed(const sdk::Outcome<std::uint64_t>& outcome);
  void redirect_to(const std::string& location);
  void adopt(EntryPtr entry);

  // ---- handling.cpp: device protocols
  void hand_over(const Request& request, Target target, const plugins::devices::Protocol& protocol);
  bool handles(std::uint64_t serial) const { return serial == serial_ && state_ == State::kHandling; }
  void respond(const plugins::devices::Response& response);
  void abandon(const Problem& problem);

  // ---- download.cpp: the bytes of a firmware
  void download(const Request& request);
  bool redirected(const Request& request);
  bool have_reader(std::uint64_t offset);
  bool have_bytes(std::uint64_t offset, std::uint64_t length, std::uint64_t size);
  void send_entity(const Request& request, const RangeSet& ranges, std::uint64_t size);
  void send_parts(const RangeSet& ranges, std::uint64_t size);
  std::uint64_t readable(std::uint64_t offset) const;
  void track(const ByteRange& range, std::uint64_t size);
  void pump();
  void starve(const Piece& piece);
  void wait_for_bandwidth();
  void file_failed(const std::string& what);

  // ---- answer.cpp: answers from memory
  void answer(unsigned status, std::string_view fields, std::string_view body);
  void answer_json(unsigned status, std::string_view fields, const std::string& body);
  void refuse(const Problem& problem, std::string_view fields = {});
  void refuse_outcome(std::uint32_t status, std::uint64_t retry_after_ms, const std::string& message);
  void started(unsigned status);
  void send_text(std::string_view text);
  void sent();
  void cut_short();

  Worker& worker_;
  Stream stream_;
  State state_ = State::kClosed;
  std::uint32_t interest_ = 0;  // epoll events asked for
  std::uint64_t serial_ = 0;    // of the call to the host that is waited for
  otagate_call call_ = 0;
  Asker asker_{*this};
  Source source_;
  std::string peer_;
  bool by_address_ = false;  // without a credential he is who is registered at his address

  // Input.
  std::string kept_;          // received, not yet served
  std::size_t searched_ = 0;  // of it, for the end of a head
  bool consuming_ = false;
  bool throttled_ = false;      // waits for bandwidth, not for its peer
  std::uint64_t since_ms_ = 0;  // the state, or of kReading the first byte, began

  // The request at hand.
  std::string_view head_;  // its bytes, here or in the worker's buffer
  std::string held_head_;  // copy while the host is asked
  std::uint64_t began_ms_ = 0;
  std::uint64_t left_ms_ = 0;  // in kHandling: since when the peer sends no more; 0: he may
  unsigned rounds_ = 0;        // of serve()
  bool http_1_1_ = true;
  bool keep_alive_ = true;
  bool unread_body_ = false;
  std::unique_ptr<BodyReader> body_;                      // in kBody only
  const plugins::devices::Protocol* protocol_ = nullptr;  // that takes a request which changes something
  std::string request_body_;                              // for it
  std::size_t body_held_ = 0;                             // bytes that the worker counts for it
  bool head_only_ = false;
  bool latest_ = false;
  bool redirect_tried_ = false;
  std::uint64_t asked_catalog_ = 0;
  std::uint64_t asked_epoch_ = 0;

  // Kept from one request to the next.
  std::string authorization_;  // the value that principal_ stands for; empty: none was sent
  std::uint64_t authorization_epoch_ = 0;
  std::uint64_t principal_ = 0;
  PrincipalPtr who_;           // the same; null: anonymous
  bool user_retried_ = false;  // the credential is being asked for without its "@application"
  EntryPtr entry_;
  sdk::Reader reader_;
  std::uint64_t reader_firmware_ = 0;
  std::uint64_t wanted_ = 0;         // offset that the host was asked for
  std::uint64_t feed_ = 0;           // how much at a time is waited for in the middle of a body
  std::uint64_t starved_ms_ = 0;     // since when
  std::uint64_t granted_begin_ = 0;  // bytes the host said are readable ahead of the gapless part
  std::uint64_t granted_end_ = 0;

  plugins::DownloadTracker::TrackPtr track_;  // of the last download of a peer who is a device
  std::uint64_t track_firmware_ = 0;
  std::uint64_t track_principal_ = 0;

  // The answer at hand.
  bool tracked_ = false;  // it moves track_
  std::uint64_t track_end_ = 0;
  std::vector<Piece> pieces_;
  std::size_t piece_ = 0;
  std::size_t text_sent_ = 0;
  std::uint64_t window_ms_ = 0;     // the pace is measured since then
  std::uint64_t window_bytes_ = 0;  // taken by the peer since then, or in kBody sent
  std::uint64_t moved_ms_ = 0;      // the peer took or sent something
};

// Calls the host and waits for its reply, which is handled on the loop's thread if the connection still
// waits for it. `start(done)` makes the call and returns its handle.
template <class Start, class Handle>
void Connection::ask(State state, Start start, Handle handle) {
  if (head_.data() != held_head_.data()) {
    held_head_.assign(head_);
    head_ = held_head_;
  }
  set_state(state, 0);
  const std::uint64_t serial = ++serial_;
  worker_.call_started();
  call_ = start([this, serial, handle](auto outcome) {
    worker_.loop().post([this, serial, handle, result = std::optional(std::move(outcome))]() mutable {
      if (serial == serial_ && (state_ == State::kAsking || state_ == State::kStarved)) {
        call_ = 0;
        (this->*handle)(std::move(*result));
      }
      // What nobody waits for any more goes before the count does: a reader is closed by then.
      result.reset();
      worker_.call_ended();
    });
  });
}

}  // namespace otagate::http

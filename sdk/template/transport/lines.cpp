// A transport: devices connect by TCP and talk in lines. Copy this folder, rename it, replace serve().
//   device:  hello <device> <type> <version>
//   gateway: none <milliseconds>, or: offer <name> <version> <size> and the bytes; device: done, or why not
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <otagate/cpp/transport.hpp>
#include <sstream>
#include <thread>

namespace sdk = otagate::sdk;

class Lines : public sdk::Transport {
 public:
  explicit Lines(sdk::TransportHost& host)
      : host_(host), port_(static_cast<std::uint16_t>(host.option("port").integer())) {}

  void start() override { thread_ = std::thread(&Lines::run, this); }

  void stop(std::chrono::milliseconds) override {
    set(stopping_, true);
    host_.interrupt();  // wakes calls to the gateway
    wake_.notify_all();
    thread_.join();
  }

  void revoke(std::uint64_t attempt, std::uint32_t) override {
    std::lock_guard lock(mutex_);
    if (attempt == attempt_) ::shutdown(device_, SHUT_RDWR), attempt_ = 0;
  }

 private:
  void run() {
    while (!listen()) {  // the address may be taken: say so and try again
      host_.health(OTAGATE_BUSY, "port " + std::to_string(port_) + " is taken");
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) return;
    }
    host_.health(OTAGATE_OK);
    for (int fd = 0; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(fd)) {
      set(device_, fd);
      host_.guarded([&] { serve(fd); });
      set(device_, -1);
    }
    ::close(listener_);
  }

  bool listen() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address{AF_INET, htons(port_), {htonl(INADDR_LOOPBACK)}, {}};
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 16) == 0)
      return set(listener_, fd), true;
    ::close(fd);
    return false;
  }

  template <class T>
  void set(T& to, T value) {
    std::lock_guard lock(mutex_);
    to = value;
    if (stopping_) ::shutdown(listener_, SHUT_RDWR), ::shutdown(device_, SHUT_RDWR);  // wakes who waits
  }

  static std::string line(int fd) {
    std::string out;
    for (char c = 0; out.size() < 512 && ::recv(fd, &c, 1, 0) == 1 && c != '\n';) out += c;
    return out;
  }

  static void send(int fd, std::string_view text) {
    if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
      throw sdk::Failure(OTAGATE_TRANSIENT, "the device went away");
  }

  void serve(int fd) {
    std::istringstream hello(line(fd));
    std::string word, device, type, version, answer;
    if (!(hello >> word >> device >> type >> version) || word != "hello") return;
    const sdk::Offer offer =
        host_.check_in({.device = device, .type = type, .versions = {{"main", version}}});
    if (!offer) return send(fd, "none " + std::to_string(offer.next_after_ms) + "\n");
    set(attempt_, offer.attempt);
    host_.guarded([&] { answer = (deliver(fd, offer), line(fd)); });
    if (std::lock_guard lock(mutex_); attempt_ != offer.attempt) return;  // revoked
    host_.progress({.attempt = offer.attempt,
                    .state = answer == "done" ? OTAGATE_ATTEMPT_CONFIRMED : OTAGATE_ATTEMPT_FAILED,
                    .message = "the device said: " + answer});
  }

  void deliver(int fd, const sdk::Offer& offer) {
    const sdk::OfferPart& part = offer.parts.front();
    const sdk::Reader blob = host_.open({.firmware = part.firmware, .deadline_ms = 60000});
    send(fd, "offer " + part.name + " " + part.version + " " + std::to_string(blob.size()) + "\n");
    char buffer[16384];
    for (std::uint64_t at = 0; at < blob.size();) {
      const ssize_t got = ::pread(blob.fd(), buffer, sizeof buffer, static_cast<off_t>(at));
      if (got <= 0) return blob.report_bad("its file is too short");
      send(fd, {buffer, static_cast<std::size_t>(got)});
      at += static_cast<std::uint64_t>(got);
      if (host_.progress({.attempt = offer.attempt, .offset = at}) == OTAGATE_STOP) break;
    }
  }

  sdk::TransportHost& host_;
  const std::uint16_t port_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  int listener_ = -1, device_ = -1;
  std::uint64_t attempt_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

OTAGATE_PLUGIN(Lines, .id = "lines", .version = "1.0.0", .summary = "devices that talk in lines over TCP",
               .options_schema = R"({"type": "object", "required": ["port"], "additionalProperties": false,
               "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}}})")

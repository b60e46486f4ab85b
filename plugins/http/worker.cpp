#include "http/worker.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/connection.hpp"
#include "http/server.hpp"
#include "http/target.hpp"

namespace otagate::http {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr std::size_t kMostBodies = 8 << 20;
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

std::string digest_of(std::string_view text) {
  std::string out(32, '\0');
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr, EVP_sha256(),
             nullptr);
  return out;
}

void make_key(std::string& key, std::uint64_t principal, std::string_view target) {
  key.assign(reinterpret_cast<const char*>(&principal), sizeof principal);
  key.append(target);
}

}  // namespace

struct Worker::Listener final : Watcher {
  Listener(Worker& owner, int descriptor) : worker(owner), fd(descriptor) {}
  void on_ready(std::uint32_t) override { worker.accept_from(*this); }
  Worker& worker;
  const int fd;  // the server's
};

Worker::Worker(Server& server, unsigned index, TlsContext tls)
    : server_(server),
      index_(index),
      tls_(std::move(tls)),
      in_(std::make_unique<char[]>(server.options().header_limit)),
      out_(std::make_unique<char[]>(kMaxHead + kCopyBody)),
      protocols_(plugins::devices::make_protocols(server.options().protocols)),
      gateway_(
          server.host(), [this](std::function<void()> work) { loop_.post(std::move(work)); },
          server.digester()) {
  loop_.on_tick = [this] { tick(); };
  loop_.after_batch = [this] { collect(); };
}

Worker::~Worker() = default;

void Worker::listen(int fd) {
  if (draining_) return;
  listeners_.push_back(std::make_unique<Listener>(*this, fd));
  // Of several workers one is woken per connection.
  loop_.add(fd, EPOLLIN | EPOLLEXCLUSIVE, listeners_.back().get());
}

void Worker::set_retrying(bool on) {
  retrying_ = on;
  update_ticking();
}

void Worker::accept_from(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd =
        accept4(listener.fd, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take(fd, peer);
      continue;
    }
    if (errno == EAGAIN) return;
    if (errno == EINVAL) {  // the server has shut it down
      loop_.remove(listener.fd);
      return;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == EPERM) continue;
    // EMFILE and its kind: the connection stays in the queue, so the listener would be ready for ever.
    server_.host().event(OTAGATE_LOG_WARN, "accept_failed", "",
                         std::string("cannot accept connections: ") + std::strerror(errno) +
                             "; raise LimitNOFILE of the service or lower max_connections");
    for (auto& each : listeners_) loop_.remove(each->fd);
    paused_ = true;
    update_ticking();
    return;
  }
}

void Worker::take(int fd, const sockaddr_storage& peer) {
  const Source source = source_of(peer);
  const bool room = server_.add_connection() || (evict_idle() && server_.add_connection());
  const bool welcome = room && server_.sources().connected(source);
  if (!welcome) {
    if (room) server_.remove_connection();
    ++counts.refused;
    if (!tls_) [[maybe_unused]]
      const ssize_t sent = send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL);
    close(fd);
    update_ticking();
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (free_.empty()) {
    all_.push_back(std::make_unique<Connection>(*this));
    free_.push_back(all_.back().get());
  }
  Connection* connection = free_.back();
  free_.pop_back();
  connection->slot = live_.size();
  live_.push_back(connection);
  connection->open(fd, peer, source, tls_.get());
  update_ticking();
}

// The one that has been idle longest gives way to a newcomer.
bool Worker::evict_idle() {
  Connection* oldest = nullptr;
  for (Connection* connection : live_) {
    if (connection->idle() && (oldest == nullptr || connection->since_ms() < oldest->since_ms()))
      oldest = connection;
  }
  if (oldest == nullptr) return false;
  oldest->close();
  return true;
}

void Worker::released(Connection& connection) {
  live_[connection.slot] = live_.back();
  live_[connection.slot]->slot = connection.slot;
  live_.pop_back();
  closed_.push_back(&connection);
  server_.remove_connection();
  update_ticking();
  check_drained();
}

void Worker::collect() {
  free_.insert(free_.end(), closed_.begin(), closed_.end());
  closed_.clear();
}

void Worker::tick() {
  for (std::size_t i = live_.size(); i-- > 0;) live_[i]->tick();
  if (paused_ && !draining_) {
    paused_ = false;
    for (auto& each : listeners_) loop_.add(each->fd, EPOLLIN | EPOLLEXCLUSIVE, each.get());
  }
  if (retrying_ && !draining_) server_.retry_listeners();
  publish();
  update_ticking();
}

void Worker::update_ticking() {
  const bool unpublished = counts.requests != published_.requests || counts.refused != published_.refused;
  loop_.set_ticking(!live_.empty() || retrying_ || paused_ || unpublished);
}

void Worker::publish() {
  const sdk::TransportHost& host = server_.host();
  const auto add = [&host](const char* name, std::uint64_t now, std::uint64_t& before) {
    if (now != before) host.count(name, static_cast<double>(now - before));
    before = now;
  };
  add("requests_total", counts.requests, published_.requests);
  add("answers_2xx_total", counts.answers[2], published_.answers[2]);
  add("answers_3xx_total", counts.answers[3], published_.answers[3]);
  add("answers_4xx_total", counts.answers[4], published_.answers[4]);
  add("answers_5xx_total", counts.answers[5], published_.answers[5]);
  add("bytes_total", counts.bytes, published_.bytes);
  add("connections_refused_total", counts.refused, published_.refused);
  add("answers_cut_total", counts.cut, published_.cut);
  if (index_ == 0) host.gauge("connections", static_cast<double>(server_.connections()));
}

void Worker::drain() {
  draining_ = true;
  retrying_ = false;
  for (auto& each : listeners_) loop_.remove(each->fd);
  for (std::size_t i = live_.size(); i-- > 0;) live_[i]->drain();
  check_drained();
}

void Worker::cut() {
  while (!live_.empty()) live_.back()->close();
  check_drained();
}

void Worker::call_ended() {
  --open_calls_;
  check_drained();
}

void Worker::check_drained() {
  if (!draining_ || drained_ || !live_.empty() || open_calls_ != 0) return;
  drained_ = true;
  // What protocols still want of the host is dropped, and the blobs they have read from are closed.
  gateway_.close();
  publish();
  server_.worker_drained();
}

std::string_view Worker::date() {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  if (now != date_second_) {
    format_date(now, date_.data());
    date_second_ = now;
  }
  return {date_.data(), date_.size()};
}

bool Worker::fresh(const Entry& entry) const {
  const sdk::TransportHost& host = server_.host();
  return entry.catalog == host.catalog_version() && entry.epoch == host.epoch();
}

EntryPtr Worker::find_entry(std::uint64_t principal, std::string_view target) {
  make_key(key_, principal, target);
  const EntryPtr* const found = entries_.find(key_);
  if (found == nullptr) return nullptr;
  if (fresh(**found)) return *found;
  entries_.erase(key_);
  return nullptr;
}

void Worker::keep_entry(EntryPtr entry) {
  make_key(key_, entry->principal, entry->target);
  entries_.put(key_, std::move(entry));
}

void Worker::drop_entry(const Entry& entry) {
  make_key(key_, entry.principal, entry.target);
  entries_.erase(key_);
}

PrincipalPtr Worker::find_principal(std::string_view authorization, std::uint64_t epoch) {
  const Known* const found = principals_.find(digest_of(authorization));
  if (found == nullptr || found->epoch != epoch) return nullptr;
  return found->principal;
}

void Worker::keep_principal(std::string_view authorization, std::uint64_t epoch, PrincipalPtr principal) {
  principals_.put(digest_of(authorization), Known{epoch, std::move(principal)});
}

const plugins::devices::Protocol* Worker::protocol_for(std::string_view target) const {
  if (protocols_.empty()) return nullptr;
  const auto parsed = parse_target(target);
  return parsed ? protocol_for(parsed->segments) : nullptr;
}

const plugins::devices::Protocol* Worker::protocol_for(const std::vector<std::string>& segments) const {
  // What the port has by itself comes first, whatever a protocol's paths may be.
  std::size_t rest = 0;
  if (protocols_.empty() || server_.router().find(segments, rest) != nullptr) return nullptr;
  return plugins::devices::protocol_for(protocols_, segments);
}

bool Worker::hold_body(std::size_t bytes) {
  const std::size_t most = std::max<std::size_t>(kMostBodies, 2 * server_.options().body_limit);
  if (bytes > most - std::min(most, body_bytes_)) return false;
  body_bytes_ += bytes;
  return true;
}

}  // namespace otagate::http

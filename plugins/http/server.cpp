#include "http/server.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/worker.hpp"

namespace otagate::http {
namespace {

constexpr int kBacklog = 1024;
constexpr std::chrono::milliseconds kGrace{1000};  // for the host's replies to calls that were cancelled

// The descriptor, or -1 with errno set.
int open_listener(const Endpoint& endpoint) {
  const int family = endpoint.address.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // So that "0.0.0.0:8080" and "[::]:8080" can stand in one list.
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.address_size) == 0 &&
      listen(fd, kBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

std::string why(int error) {
  switch (error) {
    case EADDRINUSE: return "is in use by another process";
    case EADDRNOTAVAIL: return "is no address of this machine (yet)";
    case EACCES: return "needs a privilege: use a port above 1023, or give the service CAP_NET_BIND_SERVICE";
    default: return std::string("cannot be bound: ") + std::strerror(error);
  }
}

}  // namespace

Server::Server(sdk::TransportHost& host)
    : host_(host),
      options_(Options::from(host)),
      sources_(options_.max_connections_per_source, options_.requests_per_second),
      bandwidth_(options_.bandwidth) {
  router_.add("/firmware", Resource::kFirmware);
  router_.add("/blobs/sha256", Resource::kBlob);
  TlsContext tls;
  if (!options_.tls_cert.empty()) tls = load_tls(options_.tls_cert, options_.tls_key);
  for (const Endpoint& endpoint : options_.listen) listeners_.push_back({endpoint, -1});
  for (unsigned i = 0; i < options_.threads; ++i) workers_.push_back(std::make_unique<Worker>(*this, i, tls));
}

Server::~Server() {
  for (auto& worker : workers_) worker->loop().stop();
  for (std::thread& thread : threads_) thread.join();
  workers_.clear();
  for (const Bound& listener : listeners_) {
    if (listener.fd >= 0) close(listener.fd);
  }
}

void Server::start() {
  // The first worker retries from its own thread once it runs, so this comes before.
  bind_listeners();
  undrained_ = workers_.size();
  // Signals are the program's business; a write to a closed connection must not end it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    threads_.emplace_back([worker = workers_[i].get()] { worker->loop().run(); });
    pthread_setname_np(threads_.back().native_handle(), ("http-" + std::to_string(i)).c_str());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Server::stop(std::chrono::milliseconds deadline) {
  if (threads_.empty()) return;
  {
    // Ends listening at once, while the workers still have the descriptors in their loops.
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Bound& listener : listeners_) {
      if (listener.fd >= 0) shutdown(listener.fd, SHUT_RDWR);
    }
  }
  for (auto& worker : workers_) worker->loop().post([&target = *worker] { target.drain(); });
  std::unique_lock lock(mutex_);
  const auto all_drained = [this] { return undrained_ == 0; };
  if (drained_.wait_for(lock, deadline, all_drained)) return;
  lock.unlock();
  for (auto& worker : workers_) worker->loop().post([&target = *worker] { target.cut(); });
  lock.lock();
  if (!drained_.wait_for(lock, kGrace, all_drained)) {
    host_.warn("stopped with calls to the gateway still open");
  }
}

void Server::reload() {
  if (options_.tls_cert.empty()) return;
  TlsContext tls;
  try {
    tls = load_tls(options_.tls_cert, options_.tls_key);
  } catch (const sdk::Failure& failure) {
    host_.event(OTAGATE_LOG_ERROR, "certificate_refused", options_.tls_cert,
                "the certificate in use stays: " + failure.message);
    throw;
  }
  for (auto& worker : workers_) {
    worker->loop().post([&target = *worker, tls] { target.use_tls(tls); });
  }
  host_.info("TLS certificate and key were read again");
}

bool Server::add_connection() {
  if (connections_.fetch_add(1, std::memory_order_relaxed) < options_.max_connections) return true;
  connections_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void Server::bind_listeners() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  std::string bound;
  std::string waiting;
  for (Bound& listener : listeners_) {
    if (listener.fd < 0) {
      listener.fd = open_listener(listener.endpoint);
      if (listener.fd < 0) {
        waiting += (waiting.empty() ? "" : ", ") + listener.endpoint.text + " " + why(errno);
        continue;
      }
      for (auto& worker : workers_) {
        worker->loop().post([&target = *worker, fd = listener.fd] { target.listen(fd); });
      }
    }
    bound += (bound.empty() ? "" : ", ") + listener.endpoint.text;
  }
  std::string health = bound.empty() ? "" : "listening on " + bound;
  if (!waiting.empty()) health += (bound.empty() ? "waiting: " : "; waiting: ") + waiting;
  if (health == last_health_) return;
  last_health_ = health;
  host_.health(waiting.empty() ? OTAGATE_OK : OTAGATE_BUSY, health);
  if (waiting.empty()) {
    host_.info(health);
  } else {
    host_.event(OTAGATE_LOG_WARN, "listener_waiting", "", health + "; it is tried again every second");
  }
  workers_.front()->loop().post(
      [&first = *workers_.front(), open = waiting.empty()] { first.set_retrying(!open); });
}

void Server::retry_listeners() { bind_listeners(); }

void Server::worker_drained() {
  const std::lock_guard lock(mutex_);
  if (undrained_ > 0) --undrained_;
  drained_.notify_all();
}

}  // namespace otagate::http

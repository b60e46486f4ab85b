#include "api/server.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "api/handlers.hpp"
#include "api/loop.hpp"
#include "api/metrics.hpp"
#include "api/session.hpp"
#include "core/log.hpp"

namespace otagate::api {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kBindRetry{5};
constexpr std::chrono::seconds kTick{1};
constexpr std::size_t kMaxSessions = 256;

using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

// True if somebody answers on the Unix socket.
bool socket_is_live(const std::string& path) {
  asio::io_context io;
  asio::local::stream_protocol::socket probe(io);
  boost::system::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  return !error;
}

Result<void> give_to_group(const std::filesystem::path& path, const config::Api& api) {
  if (::chmod(path.c_str(), api.mode) != 0) return fail(errno_error("chmod " + path.string(), errno));
  if (api.group.empty()) return {};
  const ::group* group = ::getgrnam(api.group.c_str());
  if (group == nullptr) {
    log("api").warn("group {} does not exist: only {} can use {}; create the group or set api.group",
                    api.group, "the daemon's own user and root", path.string());
    return {};
  }
  // The socket has the daemon's own group already: the right one under the shipped unit, which forbids
  // chown.
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && status.st_gid == group->gr_gid) return {};
  if (::chown(path.c_str(), static_cast<uid_t>(-1), group->gr_gid) != 0) {
    log("api").warn("{} could not be given to group {}: {}", path.string(), api.group,
                    std::generic_category().message(errno));
  }
  return {};
}

class ServerImpl final : public Server {
 public:
  ServerImpl(Settings settings, Backend& backend)
      : settings_(std::move(settings)), backend_(backend), router_(make_router(backend)) {}

  ~ServerImpl() override {
    loop_->post([this] {
      stopping_ = true;
      boost::system::error_code ignored;
      for (const auto& listener : listeners_) {
        listener->acceptor.close(ignored);
        listener->retry.cancel();
      }
      for (const auto& session : sessions_) session->close();
      tick_.cancel();
    });
    if (thread_.joinable()) thread_.join();
    loop_->close();
    std::error_code gone;
    std::filesystem::remove(settings_.api.socket, gone);
  }

  Result<void> start() {
    if (auto opened = open_socket(); !opened) return opened;
    if (settings_.api.listen) add_tcp("api", *settings_.api.listen, SessionKind::admin_tcp);
    if (settings_.metrics.listen) add_tcp("metrics", *settings_.metrics.listen, SessionKind::metrics);
    tick();
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  std::vector<std::string> problems() const override {
    std::vector<std::string> all;
    const std::scoped_lock lock(mutex_);
    for (const std::string& problem : problems_) all.push_back(problem);
    return all;
  }

 private:
  struct Listener {
    Listener(asio::io_context& io, std::string listener_name, config::Endpoint at, SessionKind session_kind)
        : name(std::move(listener_name)),
          endpoint(std::move(at)),
          kind(session_kind),
          acceptor(io),
          retry(io) {}
    std::string name;
    config::Endpoint endpoint;
    SessionKind kind;
    Acceptor acceptor;
    asio::steady_timer retry;
    std::string problem;
  };

  Result<void> open_socket() {
    const std::filesystem::path& path = settings_.api.socket;
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (path.native().size() >= sizeof(sockaddr_un::sun_path))
      return fail(Code::invalid, "api.socket: the path is longer than a Unix socket's 107 bytes");
    if (std::filesystem::exists(path, error)) {
      if (socket_is_live(path))
        return fail(Code::busy,
                    "api.socket " + path.string() + ": another otagated answers there; stop it first");
      std::filesystem::remove(path, error);
    }
    auto listener = std::make_shared<Listener>(io_, "socket", config::Endpoint{}, SessionKind::admin_socket);
    boost::system::error_code failed;
    const asio::local::stream_protocol::endpoint endpoint(path.string());
    listener->acceptor.open(Protocol(AF_UNIX, 0), failed);
    // Nobody may connect before mode and group are right.
    const mode_t before = ::umask(0177);
    if (!failed) listener->acceptor.bind(endpoint, failed);
    ::umask(before);
    if (!failed) listener->acceptor.listen(64, failed);
    if (failed) return fail(errno_error("api.socket " + path.string(), failed.value()));
    if (auto given = give_to_group(path, settings_.api); !given) return given;
    listeners_.push_back(listener);
    accept(listener);
    return {};
  }

  void add_tcp(std::string name, const config::Endpoint& endpoint, SessionKind kind) {
    auto listener = std::make_shared<Listener>(io_, std::move(name), endpoint, kind);
    listeners_.push_back(listener);
    open_tcp(listener);
  }

  // Binds, or says why not and tries again in a while.
  void open_tcp(const std::shared_ptr<Listener>& listener) {
    boost::system::error_code failed;
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(listener->endpoint.address, failed),
                                           listener->endpoint.port);
    if (!failed) listener->acceptor.open(Protocol(endpoint.protocol().family(), IPPROTO_TCP), failed);
    if (!failed) listener->acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed) listener->acceptor.bind(endpoint, failed);
    if (!failed) listener->acceptor.listen(64, failed);
    if (!failed) {
      set_problem(*listener, "");
      accept(listener);
      return;
    }
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
    set_problem(*listener,
                listener->name + ".listen " + listener->endpoint.to_string() + ": " + failed.message());
    listener->retry.expires_after(kBindRetry);
    listener->retry.async_wait([this, listener](boost::system::error_code error) {
      if (!error && !stopping_) open_tcp(listener);
    });
  }

  void set_problem(Listener& listener, std::string problem) {
    const std::scoped_lock lock(mutex_);
    if (!problem.empty() && listener.problem != problem) log("api").warn("{}; trying again", problem);
    problems_.erase(listener.problem);
    listener.problem = std::move(problem);
    if (!listener.problem.empty()) problems_.insert(listener.problem);
  }

  void accept(const std::shared_ptr<Listener>& listener) {
    listener->acceptor.async_accept(
        [this, listener](boost::system::error_code error, Protocol::socket socket) {
          if (stopping_) return;
          if (!error && sessions_.size() < kMaxSessions) {
            const int family = listener->kind == SessionKind::admin_socket ? AF_UNIX : AF_INET;
            boost::system::error_code ignored;
            auto session = Session::make(socket.release(ignored), family, listener->kind, context());
            sessions_.insert(session);
            session->run();
          } else if (error) {
            // Out of descriptors or the like: not a reason to spin.
            listener->retry.expires_after(std::chrono::milliseconds(100));
            listener->retry.async_wait([this, listener](boost::system::error_code ended) {
              if (!ended && !stopping_) accept(listener);
            });
            return;
          }
          accept(listener);
        });
  }

  // Measures how late the loop is: what blocks it shows here.
  void tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([this](boost::system::error_code error) {
      if (error || stopping_) return;
      const auto late = asio::steady_timer::clock_type::now() - tick_.expiry();
      loop_->counters().lag_us = std::chrono::duration_cast<std::chrono::microseconds>(late).count();
      tick();
    });
  }

  SessionContext context() {
    return {loop_, backend_, router_, settings_.api.token.reveal(),
            [this](const std::shared_ptr<Session>& session) { sessions_.erase(session); }};
  }

  const Settings settings_;
  Backend& backend_;
  const Router router_;
  const std::shared_ptr<Loop> loop_ = std::make_shared<Loop>();
  asio::io_context& io_ = loop_->io();
  asio::steady_timer tick_{io_};
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::set<std::shared_ptr<Session>> sessions_;  // io thread only, as all below but problems_
  bool stopping_ = false;
  mutable std::mutex mutex_;
  std::set<std::string> problems_;  // under mutex_
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(Settings settings, Backend& backend) {
  auto server = std::make_unique<ServerImpl>(std::move(settings), backend);
  if (auto started = server->start(); !started) return fail(std::move(started).error());
  return server;
}

}  // namespace otagate::api

// Connection: requests of device protocols.
#include <exception>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/base_url.hpp"
#include "http/connection.hpp"
#include "http/device_answer.hpp"
#include "http/server.hpp"

namespace otagate::http {
namespace {

plugins::devices::Method method_of(Method method) {
  switch (method) {
    case Method::kPost: return plugins::devices::Method::post;
    case Method::kPut: return plugins::devices::Method::put;
    case Method::kDelete: return plugins::devices::Method::del;
    default: return plugins::devices::Method::get;
  }
}

const Problem kProtocolFailed{500, "the gateway failed; its log says why", 0};

}  // namespace

// The protocol answers now or later. Until then the connection reads nothing, and a peer who closes it is
// noticed.
void Connection::hand_over(const Request& request, Target target,
                           const plugins::devices::Protocol& protocol) {
  const Options& options = worker_.server().options();
  const std::string type = media_type(request.content_type);
  sockaddr_storage local{};
  if (options.public_url.empty() && !valid_host(request.host)) {
    socklen_t size = sizeof local;
    getsockname(stream_.fd(), reinterpret_cast<sockaddr*>(&local), &size);
  }
  const std::string base = base_url(options.public_url, request.host, local, stream_.tls());
  // Cleared when the connection answers: the protocol reads it during the call.
  const std::string body = std::exchange(request_body_, {});
  plugins::devices::Request in;
  in.method = method_of(request.method);
  in.path = std::move(target.segments);
  in.query = std::move(target.query);
  in.content_type = type;
  in.accept = request.accept;
  in.body = body;
  in.peer = peer_;
  in.base_url = base;
  const PrincipalPtr who = who_;
  if (who) {
    in.principal = who->id;
    in.principal_device = who->device;
    in.principal_type = who->type;
  }
  const std::uint64_t serial = ++serial_;
  left_ms_ = 0;
  set_state(State::kHandling, EPOLLRDHUP);
  try {
    protocol.handle(in, asker_, [this, serial](const plugins::devices::Response& response) {
      if (handles(serial)) respond(response);
    });
  } catch (const std::exception& problem) {
    worker_.server().host().error(std::string(protocol.name()) + ": " + problem.what());
    if (handles(serial)) return abandon(kProtocolFailed);
  }
  if (handles(serial)) forget_body();
}

void Connection::respond(const plugins::devices::Response& response) {
  auto fields = answer_fields(response);
  if (!fields) {
    worker_.server().host().error("a device protocol gave an answer that cannot be written as HTTP");
    return abandon(kProtocolFailed);
  }
  ++serial_;
  if (response.status == 401) fields->append(kChallenge);
  const bool bodiless = response.status == 204 || response.status == 304;
  answer(static_cast<unsigned>(response.status), *fields,
         bodiless ? std::string_view{} : std::string_view(response.body));
}

// Answers in place of the protocol, whose own answer is dropped when it comes.
void Connection::abandon(const Problem& problem) {
  ++serial_;
  const otagate_call call = std::exchange(call_, 0);
  if (call != 0) worker_.server().host().cancel(call);
  refuse(problem);
}

// ------------------------------------------------------------------ what a protocol asks for

void Connection::Asker::check_in(const sdk::CheckIn& who,
                                 std::function<void(sdk::Outcome<sdk::Offer>)> done) {
  Worker& worker = connection_.worker_;
  auto wanted = while_waited_for(std::move(done));
  worker.call_started();
  // Not through the worker's gateway: a long wait is cancelled when its peer goes.
  connection_.call_ = worker.server().host().check_in(
      who, [this, &worker, serial = connection_.serial_, wanted](sdk::Outcome<sdk::Offer> outcome) {
        worker.loop().post([this, &worker, serial, wanted, result = std::move(outcome)]() mutable {
          if (connection_.handles(serial)) connection_.call_ = 0;
          wanted(std::move(result));
          worker.call_ended();
        });
      });
}

void Connection::Asker::progress(const sdk::Progress& report,
                                 std::function<void(sdk::Outcome<std::uint32_t>)> done) {
  connection_.worker_.gateway().progress(report, while_waited_for(std::move(done)));
}

void Connection::Asker::read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset,
                             std::uint32_t length, std::function<void(sdk::Outcome<std::string>)> done) {
  connection_.worker_.gateway().read(principal, firmware, offset, length, while_waited_for(std::move(done)));
}

void Connection::Asker::old_digests(std::uint64_t principal, std::uint64_t firmware,
                                    std::function<void(sdk::Outcome<OldDigests>)> done) {
  connection_.worker_.gateway().old_digests(principal, firmware, while_waited_for(std::move(done)));
}

template <class T>
std::function<void(sdk::Outcome<T>)> Connection::Asker::while_waited_for(
    std::function<void(sdk::Outcome<T>)> done) {
  return [&connection = connection_, serial = connection_.serial_,
          done = std::move(done)](sdk::Outcome<T> outcome) {
    if (!connection.handles(serial)) return;
    try {
      done(std::move(outcome));
    } catch (const std::exception& problem) {
      connection.worker_.server().host().error(std::string("a device protocol failed: ") + problem.what());
      if (connection.handles(serial)) connection.abandon(kProtocolFailed);
    }
  };
}

}  // namespace otagate::http

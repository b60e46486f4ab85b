// One connection to the admin API or to the metrics listener.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/backend.hpp"
#include "api/http.hpp"

namespace otagate::api {

class Loop;

enum class SessionKind {
  admin_socket,  // access was the file's
  admin_tcp,     // a token is asked for
  metrics,       // /metrics, /healthz, /readyz and nothing else
};

class Session;

struct SessionContext {
  std::shared_ptr<Loop> loop;
  Backend& backend;  // this and what follows: only on the loop's thread, and not once it is closed
  const Router& router;
  std::string token;
  std::function<void(const std::shared_ptr<Session>&)> ended;  // on the io thread
};

// Lives on the io thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // Takes over a connected stream socket of the address family.
  static std::shared_ptr<Session> make(int socket, int family, SessionKind kind, SessionContext context);
  virtual ~Session() = default;
  virtual void run() = 0;
  virtual void close() = 0;
};

}  // namespace otagate::api

// The admin API: HTTP/JSON over a Unix socket, optionally TCP with a token; and the metrics listener.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/backend.hpp"
#include "config/config.hpp"
#include "core/error.hpp"

namespace otagate::api {

// Owns one thread. Listeners of systemd socket activation are not used.
class Server {
 public:
  struct Settings {
    config::Api api;
    config::Metrics metrics;
  };

  // Binds the socket (its folder exists or is made; a stale socket file is replaced, a live one is
  // refused), sets mode and group. A TCP listener that cannot bind is retried and reported by
  // problems(). `backend` outlives the server.
  static Result<std::unique_ptr<Server>> start(Settings settings, Backend& backend);

  // Ends open connections and the thread, removes the socket file.
  virtual ~Server() = default;

  // What does not work right now, one sentence each: for status.
  virtual std::vector<std::string> problems() const = 0;
};

}  // namespace otagate::api

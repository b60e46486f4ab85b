// The admin API over its Unix socket, or over TCP with a token.
#pragma once

#include <boost/json/fwd.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::cli {

// Where the daemon is. With an empty address the socket counts.
struct Target {
  std::string socket = "/run/otagate/api.sock";
  std::string address;  // "127.0.0.1:8090"
  std::string token_file;
};

// Something to do beside a stream: once when it begins, and then so often. False ends the stream.
struct Tick {
  std::chrono::milliseconds every{0};
  std::function<bool()> run;
};

// Blocking; one connection per call. Code::transient: nobody answers there, and only that.
class Client {
 public:
  explicit Client(Target target) : target_(std::move(target)) {}

  // The answer's JSON; an error answer of the daemon becomes an Error with its code and message.
  Result<boost::json::value> call(std::string_view method, const std::string& path,
                                  const std::string& body = {},
                                  std::string_view content_type = "application/json") const;
  Result<boost::json::value> get(const std::string& path) const;
  // The answer as it is, for what is no JSON.
  Result<std::string> get_text(const std::string& path) const;

  // Sends `size` bytes as the body of a PUT: `read` fills what it is given with the next of them, all of it
  // or an error.
  Result<void> put(const std::string& path, std::uint64_t size,
                   const std::function<Result<void>(std::span<char> into)>& read) const;
  // The body of an answer in pieces; an error of `take` ends it.
  Result<void> download(const std::string& path,
                        const std::function<Result<void>(std::span<const char> piece)>& take) const;

  // The data of each server-sent event, until `take` returns false or the daemon goes.
  Result<void> follow(const std::string& path, const std::function<bool(std::string_view data)>& take,
                      const Tick& tick = {}) const;

 private:
  Result<std::string> ask(std::string_view method, const std::string& path, const std::string& body,
                          std::string_view content_type) const;
  Result<std::string> token() const;

  Target target_;
};

// One path segment or query value, percent-encoded (RFC 3986).
std::string encode(std::string_view text);

}  // namespace otagate::cli

// A request's body, by Content-Length or in chunks, read within a bound. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/problem.hpp"
#include "http/request.hpp"

namespace otagate::http {

// What is wrong with a request's body before any of it has come: 413 where it says that it is larger than
// `limit`; 411 where the resource needs one (`required`) and the request does not say how long it is.
std::optional<Problem> body_problem(const Request& request, bool required, std::uint64_t limit);

// Reads one body. After a problem the connection cannot be used any further: where the next request
// begins is not known.
class BodyReader {
 public:
  enum class Keep { kNo, kYes };

  // `head` is one that parse_request() took and that has a body; it is not used afterwards.
  BodyReader(std::string_view head, std::uint64_t limit, Keep keep);
  ~BodyReader();
  BodyReader(BodyReader&&) noexcept;
  BodyReader& operator=(BodyReader&&) noexcept;

  // Takes the next bytes and returns how many of them it is done with. The rest has to be given again,
  // with more behind it: a chunk's head is read at once. Not called any more once done() or problem().
  std::size_t feed(std::string_view bytes);

  bool done() const;
  const std::optional<Problem>& problem() const;
  // Without the framing; empty unless it is kept. Complete once done().
  const std::string& text() const;
  std::string take_text();

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace otagate::http

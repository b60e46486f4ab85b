// Connection: answers from memory, and how an answer ends.
#include <sys/epoll.h>

#include "http/connection.hpp"
#include "http/head.hpp"
#include "http/server.hpp"
#include "http/status.hpp"

namespace otagate::http {

void Connection::started(unsigned status) {
  ++worker_.counts.answers[status / 100];
  const std::uint64_t now = worker_.loop().now_ms();
  moved_ms_ = now;
  window_ms_ = now;
  window_bytes_ = 0;
}

// `fields` has all but the framing, each line ended by CRLF.
void Connection::answer(unsigned status, std::string_view fields, std::string_view body) {
  tracked_ = false;  // no bytes of a firmware after all
  // Where the next request begins is not known.
  if (unread_body_) keep_alive_ = false;
  char* const buffer = worker_.out_buffer();
  HeadWriter out(buffer, Worker::kMaxHead);
  write_start(out, HeadStart{status, worker_.date(), http_1_1_, keep_alive_});
  out << fields;
  // A 304 has no body, and its Content-Length would be that of the entity; a 204 may have none.
  if (status != 304 && status != 204) out << "Content-Length: " << std::uint64_t{body.size()} << "\r\n";
  out << "\r\n";
  if (out.overflowed()) {
    keep_alive_ = false;
    worker_.server().host().error("an answer was dropped because its header fields exceed 8 KiB");
    return close();
  }
  started(status);
  if (head_only_ || body.empty()) return send_text(out.text());
  if (body.size() <= Worker::kCopyBody) {
    body.copy(buffer + out.size(), body.size());
    return send_text({buffer, out.size() + body.size()});
  }
  std::string whole(out.text());
  whole += body;
  send_text(whole);
}

void Connection::answer_json(unsigned status, std::string_view fields, const std::string& body) {
  std::string all = "Content-Type: application/json\r\n";
  all += fields;
  answer(status, all, body);
}

void Connection::refuse(const Problem& problem, std::string_view fields) {
  std::string all(fields);
  if (problem.retry_after_s != 0) all += "Retry-After: " + std::to_string(problem.retry_after_s) + "\r\n";
  if (problem.status == 401) all += kChallenge;
  if (problem.status == 405) all += "Allow: GET, HEAD\r\n";
  answer_json(problem.status, all, problem_body(problem));
}

void Connection::refuse_outcome(std::uint32_t status, std::uint64_t retry_after_ms,
                                const std::string& message) {
  refuse(problem_of(status, retry_after_ms, message, principal_ != 0));
}

void Connection::send_text(std::string_view text) {
  const ssize_t count = stream_.write(text, false);
  if (count == Stream::kFailed) return close();
  const std::size_t done = count > 0 ? static_cast<std::size_t>(count) : 0;
  worker_.counts.bytes += done;
  if (done == text.size()) return sent();
  // Under TLS a blocked write has to be repeated with the same bytes, which this keeps.
  pieces_.clear();
  pieces_.push_back({std::string(text.substr(done)), 0, 0});
  piece_ = 0;
  text_sent_ = 0;
  set_state(State::kSending, EPOLLOUT);
}

void Connection::sent() {
  if (body_held_ != 0) forget_body();
  if (tracked_) {
    tracked_ = false;
    plugins::DownloadTracker::sent(track_, track_end_, worker_.loop().now_ms());
  }
  pieces_.clear();
  piece_ = 0;
  text_sent_ = 0;
  if (!keep_alive_) {
    if (unread_body_ || consuming_ || !kept_.empty()) return linger();
    return close();
  }
  since_ms_ = worker_.loop().now_ms();
  if (consuming_) {
    // A head that was held for the host is not needed any more; consume() goes on.
    return set_state(State::kReading, EPOLLIN);
  }
  resume_input();
}

// The peer sees fewer bytes than Content-Length promised, or no answer at all.
void Connection::cut_short() {
  ++worker_.counts.cut;
  close();
}

}  // namespace otagate::http

#include "common/object_store/signing_clock.hpp"

#include <cstdlib>

#include "common/http_client/classify.hpp"

namespace otagate::common {

std::optional<std::int64_t> server_time(const HttpHead& head) {
  const std::string* date = head.find("date");
  return date ? parse_http_date(*date) : std::nullopt;
}

bool far_off(const HttpHead& head, std::int64_t signed_at) {
  const std::optional<std::int64_t> theirs = server_time(head);
  return theirs && std::llabs(*theirs - signed_at) > 15 * 60;
}

std::string clock_words(const HttpHead& head, std::optional<std::int64_t> signed_at) {
  std::string words = "the server says that this machine's clock is wrong";
  const std::optional<std::int64_t> theirs = server_time(head);
  if (theirs && signed_at) words += " by " + std::to_string(std::llabs(*theirs - *signed_at)) + " s";
  return words;
}

std::int64_t SigningClock::now() const { return host_.now_ms() / 1000 + offset_; }

void SigningClock::learn(const HttpResponse& response) {
  const std::optional<std::int64_t> theirs = server_time(response.head);
  if (!theirs) return;
  if (!response.peer_trusted) {
    host_.event(
        OTAGATE_LOG_WARN, "clock_skew", subject_,
        "the server refuses this machine's clock, and over plain HTTP its own is not believed: set the "
        "clock, or use an https endpoint");
    return;
  }
  const std::int64_t offset = *theirs - host_.now_ms() / 1000;
  offset_ = offset;
  host_.event(OTAGATE_LOG_WARN, "clock_skew", subject_,
              "requests are signed with the server's time from now on, " + std::to_string(offset) +
                  " s from this machine's clock");
}

}  // namespace otagate::common

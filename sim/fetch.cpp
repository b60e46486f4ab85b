#include "fetch.hpp"

#include <algorithm>

namespace otagate::sim {

Ask Download::ask(const Image& image, const Habits& habits, std::uint32_t usual) const {
  Ask ask;
  ask.target = url;
  std::uint64_t length = std::min(habits.chunk > 0 ? habits.chunk : usual, kMaxRange);
  if (size > 0) length = std::min<std::uint64_t>(length, size - std::min(size, image.offset()));
  ask.range = Range{image.offset(), static_cast<std::uint32_t>(length)};
  return ask;
}

Download::Got Download::take(const Reply& reply, const Image& image) {
  if (reply.status == 503 || reply.status == 429 || reply.status == 502 || reply.status == 504) return {};
  if (!reply.ok()) return {Step::broken, {}, "the download is answered " + std::to_string(reply.status)};
  std::string_view data = reply.body;
  if (reply.status == 200) {
    // The whole although a range was asked for.
    if (data.size() < image.offset()) return {Step::broken, {}, "the whole is shorter than what was there"};
    data.remove_prefix(image.offset());
    if (size == 0) size = reply.body.size();
  }
  if (size == 0) size = reply.total.value_or(0);
  if (reply.total && *reply.total != size) {
    return {
        Step::broken, {}, "the size was " + std::to_string(size) + ", is " + std::to_string(*reply.total)};
  }
  if (data.empty()) return {Step::broken, {}, "an answer without bytes"};
  if (size > 0 && image.offset() + data.size() > size) return {Step::broken, {}, "more bytes than were said"};
  return {Step::data, data, {}};
}

}  // namespace otagate::sim

// Connection: the bytes of a firmware, whole or in ranges, complete or still being fetched.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>

#include <sys/epoll.h>
#include <unistd.h>

#include "http/connection.hpp"
#include "http/head.hpp"
#include "http/resource.hpp"
#include "http/server.hpp"

namespace otagate::http {
namespace {

// Of each blob so much is in no file before it has been verified (see transport.h).
constexpr std::uint64_t kHeldTail = 4096;
// A range of up to this is waited for whole before its answer begins, so that a device gets it or a 503,
// never a part of it. Longer ones begin with their first byte.
constexpr std::uint64_t kWholeRange = 65536;
// How much more has to be there before a reader that has caught up with the fill is woken: at first and at
// least, at most, and how long that should take.
constexpr std::uint64_t kFeed = 65536;
constexpr std::uint64_t kMostFeed = 1u << 20;
constexpr std::uint64_t kFeedMs = 100;
// Sent for one connection before the others get their turn.
constexpr std::uint64_t kTurn = 2 << 20;
constexpr std::size_t kTlsRecord = 16384;

bool has_conditions(const Conditions& conditions) {
  return conditions.if_match.data() != nullptr || conditions.if_none_match.data() != nullptr ||
         conditions.if_modified_since.data() != nullptr || conditions.if_unmodified_since.data() != nullptr;
}

std::string make_boundary() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  static constexpr char kLetters[] = "0123456789abcdefghijklmnopqrstuv";
  std::string boundary = "otagate-";
  for (int i = 0; i < 24; ++i) boundary += kLetters[generator() % 32];
  return boundary;
}

// What went wrong with the file, as the end of a sentence that begins with "the cached copy".
std::string file_problem(int error) {
  return error == 0 ? "is too short" : std::string("cannot be read: ") + std::strerror(error);
}

// All of it, or what went wrong.
std::optional<std::string> read_all(int fd, char* into, std::uint64_t size, std::uint64_t offset) {
  while (size > 0) {
    const ssize_t count = pread(fd, into, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return file_problem(count < 0 ? errno : 0);
    into += count;
    offset += static_cast<std::uint64_t>(count);
    size -= static_cast<std::uint64_t>(count);
  }
  return std::nullopt;
}

}  // namespace

// What entry_ stands for is sent, as far as everything for it is known; else the host is asked.
void Connection::download(const Request& request) {
  const sdk::Firmware& firmware = entry_->firmware;
  const Validators validators{firmware.tag, firmware.modified_ms / 1000};
  if (has_conditions(request.conditions)) {
    switch (evaluate(request.conditions, validators)) {
      case Verdict::kNotModified: return answer(304, validator_fields(firmware), {});
      case Verdict::kPreconditionFailed:
        return refuse(Problem{412, "this is not the version that If-Match or If-Unmodified-Since names", 0},
                      validator_fields(firmware));
      case Verdict::kProceed: break;
    }
  }
  if ((firmware.flags & OTAGATE_FIRMWARE_REDIRECT) != 0 && !redirected(request)) return;

  std::uint64_t size = firmware.size;
  if (size == OTAGATE_SIZE_UNKNOWN) {
    // Content-Length and the ranges depend on it, so it is fetched and verified first.
    if (!have_reader(0)) return;
    const bool complete = reader_.state() == OTAGATE_BLOB_VERIFIED ||
                          (granted_begin_ == 0 && granted_end_ != 0 && granted_end_ == reader_.total());
    if (!complete && !have_bytes(0, std::numeric_limits<std::int64_t>::max(), 0)) return;
    size = reader_.total();
    if (size == OTAGATE_SIZE_UNKNOWN) {
      return refuse(Problem{503, "the size is not known yet: the firmware is being fetched", 5});
    }
  }
  RangeSet ranges;
  if (!request.range.empty() && request.method == Method::kGet &&
      range_applies(request.conditions.if_range, validators)) {
    ranges = parse_range(request.range, size);
  }
  if (ranges.outcome == RangeOutcome::kUnsatisfiable) {
    return refuse(
        Problem{416, "the range begins beyond the end: the firmware has " + std::to_string(size) + " bytes",
                0},
        "Content-Range: bytes */" + std::to_string(size) + "\r\n");
  }
  if (ranges.outcome == RangeOutcome::kWhole) {
    ranges.count = size == 0 ? 0 : 1;
    ranges.ranges[0] = ByteRange{0, size};
  }
  if (!head_only_ && ranges.count != 0) {
    const ByteRange& first = ranges.ranges[0];
    if (!have_reader(first.offset)) return;
    if (!have_bytes(first.offset, first.length <= kWholeRange ? first.length : 1, size)) return;
  }
  const bool known = who_ ? !who_->device.empty() : by_address_;
  if (known && !head_only_ && ranges.count == 1) track(ranges.ranges[0], size);
  send_entity(request, ranges, size);
}

// The peer is a device, and its downloads are progress of its attempt.
void Connection::track(const ByteRange& range, std::uint64_t size) {
  const sdk::Firmware& firmware = entry_->firmware;
  if (!track_ || range.offset == 0 || track_firmware_ != firmware.id || track_principal_ != principal_) {
    track_ = worker_.tracker().begin({.who = who_.get(),
                                      .firmware = firmware.id,
                                      .sha256 = firmware.sha256,
                                      .size = size,
                                      .address = peer_,
                                      .offset = range.offset},
                                     worker_.loop().now_ms());
    track_firmware_ = firmware.id;
    track_principal_ = principal_;
  }
  tracked_ = true;
  track_end_ = range.offset + range.length;
}

// ------------------------------------------------------------------ what the host has to give first

// True: serve it here, because the store does not presign just now.
bool Connection::redirected(const Request& request) {
  if (redirect_tried_) return true;
  redirect_tried_ = true;
  const Server& server = worker_.server();
  ask(
      State::kAsking,
      [&](auto done) {
        return server.host().presign(principal_, entry_->firmware.id, request.method == Method::kHead,
                                     server.options().wait_timeout_ms, std::move(done));
      },
      &Connection::on_presigned);
  return false;
}

void Connection::on_presigned(const sdk::Outcome<std::string>& outcome) {
  if (outcome && !outcome.value.empty()) return redirect_to(outcome.value);
  Request request;
  if (parse_request(head_, request)) return close();
  download(request);
}

// False: it is being opened.
bool Connection::have_reader(std::uint64_t offset) {
  if (reader_ && reader_firmware_ == entry_->firmware.id && !reader_.failed()) return true;
  reader_.close();
  const Server& server = worker_.server();
  sdk::OpenRequest request;
  request.principal = principal_;
  request.firmware = entry_->firmware.id;
  request.peer = peer_;
  request.offset = offset;
  request.deadline_ms = server.options().wait_timeout_ms;
  ask(
      State::kAsking, [&](auto done) { return server.host().open(request, std::move(done)); },
      &Connection::on_opened);
  return false;
}

void Connection::on_opened(sdk::Outcome<sdk::Reader> outcome) {
  if (!outcome) {
    if (outcome.status == OTAGATE_NOT_FOUND || outcome.status == OTAGATE_CHANGED) worker_.drop_entry(*entry_);
    return refuse_outcome(outcome.status, outcome.retry_after_ms, outcome.message);
  }
  reader_ = std::move(outcome.value);
  reader_firmware_ = entry_->firmware.id;
  granted_begin_ = 0;
  granted_end_ = 0;
  feed_ = kFeed;
  if (reader_.failed()) {
    reader_.close();
    return refuse_outcome(OTAGATE_REJECTED, 0, "");
  }
  // By its digest a blob has the digest for a tag, whatever tag the path has that it is known by.
  const sdk::Firmware& firmware = entry_->firmware;
  const bool same_bytes = !firmware.sha256.empty() && reader_.sha256() == firmware.sha256;
  if (!reader_.tag().empty() && reader_.tag() != firmware.tag && !same_bytes) {
    // Replaced since it was resolved: what was said about it no longer holds.
    worker_.drop_entry(*entry_);
    reader_.close();
    entry_.reset();
  }
  again();
}

std::uint64_t Connection::readable(std::uint64_t offset) const {
  switch (reader_.state()) {
    case OTAGATE_BLOB_VERIFIED: return std::numeric_limits<std::uint64_t>::max() - offset;
    case OTAGATE_BLOB_FILLING: {
      std::uint64_t end = reader_.ready();
      if (granted_begin_ <= offset) end = std::max(end, granted_end_);
      return end > offset ? end - offset : 0;
    }
    default: return 0;
  }
}

// False: they are waited for. `size` 0: not known.
bool Connection::have_bytes(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  if (readable(offset) >= length) return true;
  const Options& options = worker_.server().options();
  const bool tail = size != 0 && offset + length + kHeldTail > size;
  wanted_ = offset;
  ask(
      State::kAsking,
      [&](auto done) {
        return reader_.want(offset, length, tail ? options.stream_wait_ms : options.wait_timeout_ms,
                            std::move(done));
      },
      &Connection::on_readable);
  return false;
}

void Connection::on_readable(const sdk::Outcome<std::uint64_t>& outcome) {
  if (!outcome) {
    reader_.close();
    return refuse_outcome(outcome.status, outcome.retry_after_ms, outcome.message);
  }
  granted_begin_ = wanted_;
  granted_end_ = wanted_ + outcome.value;
  if (outcome.value == 0) {
    reader_.close();
    return refuse(Problem{503, "the firmware is shorter than it was said to be; ask again", 1});
  }
  again();
}

// ------------------------------------------------------------------ sending

void Connection::send_entity(const Request& request, const RangeSet& ranges, std::uint64_t size) {
  const bool partial = ranges.outcome == RangeOutcome::kPartial;
  if (partial && ranges.count > 1) return send_parts(ranges, size);
  const ByteRange body = ranges.count == 0 ? ByteRange{} : ranges.ranges[0];
  char* const buffer = worker_.out_buffer();
  HeadWriter out(buffer, Worker::kMaxHead);
  write_start(out, HeadStart{partial ? 206U : 200U, worker_.date(), http_1_1_, keep_alive_});
  out << "Content-Length: " << body.length << "\r\n";
  if (partial) {
    out << "Content-Range: bytes " << body.offset << "-" << body.offset + body.length - 1 << "/" << size
        << "\r\n";
  }
  out << entry_->fields << "\r\n";
  if (out.overflowed()) return refuse(Problem{500, "the header fields of this firmware exceed 8 KiB", 0});
  if (request.method == Method::kHead || body.length == 0) {
    started(200);
    return send_text(out.text());
  }

  std::size_t in_buffer = out.size();
  if (!worker_.server().bandwidth().limited() && body.length <= Worker::kCopyBody &&
      readable(body.offset) >= body.length) {
    if (const auto problem = read_all(reader_.fd(), buffer + in_buffer, body.length, body.offset)) {
      file_failed(*problem);
      return refuse(Problem{503, "the cached copy cannot be read; it will be fetched again", 5});
    }
    if (reader_.failed()) return refuse(Problem{502, "the bytes failed verification", 0});
    in_buffer += body.length;
  }
  started(partial ? 206 : 200);
  const bool more = in_buffer == out.size();
  const ssize_t count = stream_.write({buffer, in_buffer}, more);
  if (count == Stream::kFailed) return close();
  const std::size_t done = count > 0 ? static_cast<std::size_t>(count) : 0;
  worker_.counts.bytes += done;
  if (done == in_buffer && !more) return sent();

  // What did not go out is sent from the file, but under TLS a blocked write has to be repeated with the
  // same bytes, so these are kept.
  Piece rest;
  const std::size_t text_end = stream_.tls() ? in_buffer : out.size();
  if (done < text_end) rest.text.assign(buffer + done, text_end - done);
  const std::uint64_t body_done = std::max(done, text_end) - out.size();
  rest.offset = body.offset + body_done;
  rest.length = body.length - body_done;
  pieces_.clear();
  pieces_.push_back(std::move(rest));
  piece_ = 0;
  text_sent_ = 0;
  state_ = State::kSending;
  pump();
}

void Connection::send_parts(const RangeSet& ranges, std::uint64_t size) {
  const std::string boundary = make_boundary();
  pieces_.clear();
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < ranges.count; ++i) {
    const ByteRange& range = ranges.ranges[i];
    pieces_.push_back({part_head(boundary, range.offset, range.length, size), range.offset, range.length});
    length += pieces_.back().text.size() + range.length;
  }
  pieces_.push_back({part_tail(boundary), 0, 0});
  length += pieces_.back().text.size();

  std::array<char, Worker::kMaxHead> buffer;
  HeadWriter out(buffer.data(), buffer.size());
  write_start(out, HeadStart{206, worker_.date(), http_1_1_, keep_alive_});
  out << "Content-Length: " << length << "\r\nContent-Type: multipart/byteranges; boundary=" << boundary
      << "\r\n";
  out << entity_fields(entry_->firmware, true) << "\r\n";
  if (out.overflowed()) {
    pieces_.clear();
    return refuse(Problem{500, "the header fields of this firmware exceed 8 KiB", 0});
  }
  pieces_.front().text.insert(0, out.text());
  piece_ = 0;
  text_sent_ = 0;
  started(206);
  state_ = State::kSending;
  pump();
}

// Sends what there is to send, until the peer takes no more, bytes are missing or it was enough for one turn.
// The tick goes on with it: a second's worth is what the limit holds.
void Connection::wait_for_bandwidth() {
  throttled_ = true;
  set_state(State::kSending, 0);
}

void Connection::pump() {
  std::uint64_t turn = 0;
  while (piece_ < pieces_.size()) {
    Piece& piece = pieces_[piece_];
    if (text_sent_ == piece.text.size() && piece.length == 0) {
      ++piece_;
      text_sent_ = 0;
      continue;
    }
    if (turn >= kTurn) return set_state(State::kSending, EPOLLOUT);
    ssize_t count = 0;
    bool full = false;
    if (text_sent_ < piece.text.size()) {
      const std::string_view text = std::string_view(piece.text).substr(text_sent_);
      count = stream_.write(text, piece.length > 0 || piece_ + 1 < pieces_.size());
      if (count > 0) text_sent_ += static_cast<std::size_t>(count);
    } else {
      if (reader_.failed()) return cut_short();
      std::uint64_t size = std::min({piece.length, readable(piece.offset), kTurn - turn});
      if (size == 0) return starve(piece);
      plugins::Bandwidth& bandwidth = worker_.server().bandwidth();
      size = bandwidth.take(stream_.tls() ? std::min<std::uint64_t>(size, kTlsRecord) : size,
                            worker_.loop().now_ms());
      if (size == 0) return wait_for_bandwidth();
      if (stream_.tls()) {
        const std::size_t record = std::min<std::uint64_t>(size, kTlsRecord);
        if (const auto problem = read_all(reader_.fd(), worker_.out_buffer(), record, piece.offset))
          return file_failed(*problem);
        piece.text.assign(worker_.out_buffer(), record);
        text_sent_ = 0;
        piece.offset += record;
        piece.length -= record;
        continue;
      }
      int file_error = 0;
      count = stream_.send_file(reader_.fd(), piece.offset, size, file_error);
      if (const auto sent = static_cast<std::uint64_t>(std::max<ssize_t>(count, 0)); sent < size)
        bandwidth.give_back(size - sent);
      if (count == Stream::kEnd || file_error != 0) return file_failed(file_problem(file_error));
      if (count > 0) {
        piece.offset += static_cast<std::uint64_t>(count);
        piece.length -= static_cast<std::uint64_t>(count);
        // It would only say EAGAIN; a file that has been cut shows next time.
        full = static_cast<std::uint64_t>(count) < size;
      }
    }
    if (count == Stream::kBlocked) return set_state(State::kSending, stream_.events());
    if (count < 0) return close();
    turn += static_cast<std::uint64_t>(count);
    worker_.counts.bytes += static_cast<std::uint64_t>(count);
    window_bytes_ += static_cast<std::uint64_t>(count);
    moved_ms_ = worker_.loop().now_ms();
    if (tracked_) plugins::DownloadTracker::sent(track_, piece.offset, moved_ms_);
    if (full) return set_state(State::kSending, EPOLLOUT);
  }
  sent();
}

// The fill has not come so far.
void Connection::starve(const Piece& piece) {
  const std::uint64_t size =
      entry_->firmware.size == OTAGATE_SIZE_UNKNOWN ? reader_.total() : entry_->firmware.size;
  const std::uint64_t tail = size > kHeldTail ? size - kHeldTail : 0;
  // Up to the held tail first, so that the wait for verification is not also one for the bytes before it.
  const std::uint64_t reach = piece.offset < tail ? tail - piece.offset : piece.length;
  wanted_ = piece.offset;
  const std::uint64_t length = std::min({piece.length, reach, feed_});
  starved_ms_ = worker_.loop().now_ms();
  ask(
      State::kStarved,
      [&](auto done) {
        return reader_.want(wanted_, length, worker_.server().options().stream_wait_ms, std::move(done));
      },
      &Connection::on_fed);
}

void Connection::on_fed(const sdk::Outcome<std::uint64_t>& outcome) {
  if (outcome && outcome.value > 0) {
    granted_begin_ = wanted_;
    granted_end_ = wanted_ + outcome.value;
  } else if (outcome.status != OTAGATE_DEADLINE || readable(wanted_) == 0) {
    // A slow fill that has moved within stream_wait goes on; anything else ends here, short of
    // Content-Length, so that nobody takes it for complete.
    return cut_short();
  }
  const std::uint64_t now = worker_.loop().now_ms();
  // A hundred readers of a fast fill need not all be woken for each of its pieces.
  const std::uint64_t took = now - starved_ms_;
  if (took < kFeedMs / 2)
    feed_ = std::min(feed_ * 2, kMostFeed);
  else if (took > kFeedMs)
    feed_ = std::max(feed_ / 2, kFeed);
  moved_ms_ = now;
  window_ms_ = now;
  window_bytes_ = 0;
  state_ = State::kSending;
  pump();
}

// Truncated or unreadable under an open reader: the host cuts the others, says so, and fetches it again.
void Connection::file_failed(const std::string& what) {
  reader_.report_bad("http: the cached copy " + what);
  const bool sending = state_ == State::kSending;
  reader_.close();
  if (sending) cut_short();
}

}  // namespace otagate::http

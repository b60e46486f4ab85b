#include "common/device_protocols/drogue/exchange.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/drogue/text.hpp"

namespace otagate::plugins::devices::drogue {
namespace {

constexpr std::uint32_t kDefaultMtu = 512;
constexpr std::uint64_t kReportStep = 64UL * 1024;
constexpr std::uint64_t kReports = 16;      // of an image too small for that step
constexpr std::uint64_t kRetryMs = 10'000;  // where the gateway names no time
constexpr std::uint64_t kNextMs = 60'000;

}  // namespace

std::uint32_t block_length(const Asker& asker, std::optional<std::uint32_t> mtu, std::uint64_t left) {
  const std::uint32_t wanted = mtu.value_or(0) == 0 ? kDefaultMtu : *mtu;
  const std::uint32_t most = std::min(wanted, asker.block_cap);
  if (left <= most) return static_cast<std::uint32_t>(left);
  const std::uint32_t aligned = most - most % asker.write_size;
  return aligned == 0 ? most : aligned;
}

bool worth_reporting(std::uint64_t offset, std::uint32_t length, std::uint64_t size) {
  const std::uint64_t step = std::clamp<std::uint64_t>(size / kReports, 1, kReportStep);
  return offset < length || offset / step != (offset - length) / step;
}

Exchange::Exchange(Asker asker, Read read, Gateway& gateway, Respond respond)
    : asker_(std::move(asker)),
      status_(std::move(read.status)),
      spelling_(read.spelling),
      gateway_(gateway),
      respond_(std::move(respond)) {}

// In the middle of a transfer: it was not started anew, so what it runs says nothing about the update.
bool Exchange::transferring() const {
  return status_.update && status_.update->offset > 0 && status_.update->version != status_.version;
}

std::string Exchange::wire() const { return wire_version(part().version); }

void Exchange::start() {
  // What an alias stands for only the offer says: so first it is asked for, without a version.
  if (looks_like_alias(status_.version)) return check_in({}, 0, &Exchange::looked);
  check_in(version_text(status_.version), asker_.held_ms, &Exchange::checked_in);
}

void Exchange::check_in(std::string version, std::uint64_t held_ms, void (Exchange::*then)(Offered)) {
  sdk::CheckIn who;
  who.principal = asker_.principal;
  who.device = asker_.device;
  who.type = asker_.type;
  who.address = asker_.address;
  who.acting_for = asker_.acting_for;
  who.deadline_ms = held_ms;
  who.midway = transferring();
  if (!version.empty()) who.versions.emplace_back(asker_.component, std::move(version));
  asked_ = std::chrono::steady_clock::now();
  gateway_.check_in(who, [self = shared_from_this(), then](Offered offered) {
    if (!offered) return self->refuse(offered.status, offered.retry_after_ms, offered.message);
    ((*self).*then)(std::move(offered));
  });
}

void Exchange::looked(Offered offered) {
  if (offered.value) {
    const auto& version = offered.value.parts.empty() ? std::string() : offered.value.parts.front().version;
    if (wire_version(version) == status_.version)
      return check_in(version, asker_.held_ms, &Exchange::checked_in);
    return checked_in(std::move(offered));
  }
  if (asker_.held_ms != 0) return check_in({}, asker_.held_ms, &Exchange::checked_in);
  checked_in(std::move(offered));
}

void Exchange::checked_in(Offered offered) {
  if (!offered.value) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    // Whoever was held back for the time he asked for has waited already.
    const auto waited = duration_cast<milliseconds>(std::chrono::steady_clock::now() - asked_);
    const bool held = asker_.held_ms != 0 && static_cast<std::uint64_t>(waited.count()) * 2 >= asker_.held_ms;
    return idle(held ? 0 : std::max<std::uint64_t>(offered.value.next_after_ms, 1));
  }
  offer_ = std::move(offered.value);
  // The first part is what the attempt is at; what comes after it is offered once that is done.
  if (offer_.parts.empty()) return wait(kNextMs);
  if (!part().component.empty() && part().component != asker_.component)
    return give_up("this device speaks the Drogue protocol, which updates one component, here '" +
                   asker_.component + "', and the next of its deployment is '" + part().component + "'");
  act();
}

void Exchange::act() {
  if (same_version(part().version, version_text(status_.version)) || wire() == status_.version)
    return idle(kNextMs);
  const std::uint64_t size = part().size;
  if (size != OTAGATE_SIZE_UNKNOWN && size > std::numeric_limits<std::uint32_t>::max())
    return give_up("the Drogue protocol cannot carry more than 4 GiB");
  const bool same =
      status_.update && (status_.update->version == wire() || status_.update->version == part().version);
  const std::uint32_t offset = same ? status_.update->offset : 0;
  if (size != OTAGATE_SIZE_UNKNOWN && offset >= size) return finish(size);
  send_block(size, offset);
}

void Exchange::send_block(std::uint64_t size, std::uint32_t offset) {
  const std::uint32_t length = block_length(asker_, status_.mtu, size - offset);
  if (!worth_reporting(offset, length, size)) return read_block(size, offset, length);
  report(OTAGATE_ATTEMPT_DOWNLOADING, offset, {},
         [self = shared_from_this(), size, offset, length](bool go_on) {
           if (!go_on) return self->wait(kNextMs);
           self->read_block(size, offset, length);
         });
}

void Exchange::read_block(std::uint64_t size, std::uint32_t offset, std::uint32_t length) {
  gateway_.read(asker_.principal, part().firmware, offset, length,
                [self = shared_from_this(), size, offset](sdk::Outcome<std::string> block) {
                  if (!block) return self->refuse(block.status, block.retry_after_ms, block.message);
                  if (block.value.empty()) {
                    if (size == OTAGATE_SIZE_UNKNOWN) return self->finish(offset);
                    return self->wait(kRetryMs);
                  }
                  Command write;
                  write.kind = Command::Kind::write;
                  write.version = self->wire();
                  write.offset = offset;
                  write.data = std::move(block.value);
                  self->answer(std::move(write));
                });
}

void Exchange::finish(std::uint64_t size) {
  // Said with the first swap. A device whose answer was lost asks again and gets it again, but that is no
  // sign that it gets anywhere: the time it has to apply goes on.
  const std::string token = "swap:" + wire();
  if (offer_.resume_token == token) return swap();
  report(OTAGATE_ATTEMPT_DOWNLOADED, size, {}, [self = shared_from_this(), size, token](bool go_on) {
    if (!go_on || self->offer_.download_only) return self->wait(kNextMs);
    self->report(OTAGATE_ATTEMPT_APPLYING, size, token, [self](bool still) {
      if (!still) return self->wait(kNextMs);
      self->swap();
    });
  });
}

void Exchange::swap() {
  Command out;
  out.kind = Command::Kind::swap;
  out.version = wire();
  out.data = bytes_of_hex(part().sha256).value_or(std::string());
  answer(std::move(out));
}

void Exchange::give_up(const std::string& message) {
  sdk::Progress progress;
  progress.attempt = offer_.attempt;
  progress.state = OTAGATE_ATTEMPT_FAILED;
  progress.message = message;
  progress.principal = asker_.principal;
  progress.device = asker_.device;
  gateway_.progress(progress,
                    [self = shared_from_this()](const sdk::Outcome<std::uint32_t>&) { self->idle(kNextMs); });
}

void Exchange::report(std::uint32_t state, std::uint64_t offset, const std::string& token,
                      std::function<void(bool go_on)> then) {
  sdk::Progress progress;
  progress.attempt = offer_.attempt;
  progress.state = state;
  progress.offset = offset;
  progress.resume_token = token;
  progress.principal = asker_.principal;
  progress.device = asker_.device;
  const bool must = state != OTAGATE_ATTEMPT_DOWNLOADING;
  gateway_.progress(progress, [self = shared_from_this(), must,
                               then = std::move(then)](const sdk::Outcome<std::uint32_t>& told) {
    if (told) return then(told.value != OTAGATE_STOP);
    if (told.status == OTAGATE_NOT_FOUND || told.status == OTAGATE_PRECONDITION)
      return then(false);  // it is over
    // How far a download is may get lost; that the device swaps may not.
    if (!must && try_later(told.status)) return then(true);
    self->refuse(told.status, told.retry_after_ms, told.message);
  });
}

void Exchange::idle(std::uint64_t next_after_ms) {
  if (transferring() || status_.version.empty()) return wait(next_after_ms);
  // A device takes this for the word that it may keep the firmware it started on trial. What it runs lets it
  // ask, and there is nothing else for it.
  Command sync;
  sync.kind = Command::Kind::sync;
  sync.version = status_.version;
  if (next_after_ms != 0) sync.poll = seconds_of(next_after_ms);
  answer(std::move(sync));
}

void Exchange::wait(std::uint64_t next_after_ms) {
  Command out;
  if (next_after_ms != 0) out.poll = seconds_of(next_after_ms);
  answer(std::move(out));
}

// An error status makes such a device ask again at once, for want of a time: so where asking later helps it
// is told when.
void Exchange::refuse(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message) {
  if (try_later(status)) return wait(retry_after_ms == 0 ? kRetryMs : retry_after_ms);
  respond_(refusal(status, retry_after_ms, message));
}

void Exchange::answer(Command command) {
  command.correlation_id = status_.correlation_id;
  Response out;
  out.content_type = media_type(spelling_);
  out.body = write_command(command, spelling_);
  out.command = "dfu";
  respond_(std::move(out));
}

}  // namespace otagate::plugins::devices::drogue

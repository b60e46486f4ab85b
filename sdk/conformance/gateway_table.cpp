// What the gateway of the kit offers a transport: the functions of otagate_transport_host.
#include "check.hpp"
#include "gateway.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::kit {

using sdk::make_struct;
using sdk::read_struct;
using sdk::str;
using sdk::view;
using sdk::write_struct;

namespace {
Gateway& gateway_of(void* context) { return *static_cast<Gateway*>(instance_of(context)->user); }
}  // namespace

struct Gateway::Table {
  static const otagate_board* board(void* context, otagate_instance) { return &gateway_of(context).board_; }

  static otagate_call check_credential(void* context, otagate_instance, const otagate_credential* raw,
                                       const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_credential>(raw);
    const bool good =
        (in.scheme == OTAGATE_AUTH_BEARER && view(in.secret) == "kit-token") ||
        (in.scheme == OTAGATE_AUTH_BASIC && view(in.user) == "kit" && view(in.secret) == "kit") ||
        in.scheme == OTAGATE_AUTH_PSK || in.scheme == OTAGATE_AUTH_CERTIFICATE;
    const otagate_call call = self.ask(reply);
    self.reply(call, [good](const otagate_reply& to) {
      auto out = make_struct<otagate_principal>();
      out.principal = 1;
      deliver(to, good ? OTAGATE_OK : OTAGATE_DENIED, good ? &out : nullptr, good ? "" : "who are you?");
    });
    return call;
  }

  static otagate_call psk(void* context, otagate_instance, otagate_str identity, const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const bool good = view(identity) == "kit";
    const otagate_call call = self.ask(reply);
    self.reply(call, [good](const otagate_reply& to) {
      auto out = make_struct<otagate_psk>();
      out.key = str("kit-key");
      out.principal = 1;
      deliver(to, good ? OTAGATE_OK : OTAGATE_DENIED, good ? &out : nullptr,
              good ? "" : "there is no such identity");
    });
    return call;
  }

  static otagate_call resolve(void* context, otagate_instance, const otagate_resolve_request* raw,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_resolve_request>(raw);
    const bool by_digest = in.digest.size > 0;
    const bool good = by_digest ? view(in.digest) == self.digest_
                                : view(in.name) == kName &&
                                      (view(in.version) == kVersion || view(in.version) == "latest") &&
                                      (in.type.size == 0 || view(in.type) == kType);
    {
      std::lock_guard lock(self.mutex_);
      if (good) ++self.resolved_;
    }
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, good](const otagate_reply& to) {
      if (!good) return deliver(to, OTAGATE_NOT_FOUND, nullptr, "there is no such firmware");
      const otagate_firmware out = self.firmware();
      if (to.item) to.item(to.context, &out);
      deliver(to, OTAGATE_OK, nullptr);
    });
    return call;
  }

  static otagate_call catalog(void* context, otagate_instance, const otagate_catalog_request* raw,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_catalog_request>(raw);
    const bool match = (in.name.size == 0 || view(in.name) == kName) &&
                       (in.type.size == 0 || view(in.type) == kType) && in.cursor.size == 0;
    if (in.limit == 0 || in.limit > 1000)
      self.instance_.violation("catalog() with a limit that is not 1 to 1,000");
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, match](const otagate_reply& to) {
      const otagate_firmware one = self.firmware();
      if (match && to.item) to.item(to.context, &one);
      auto out = make_struct<otagate_catalog_result>();
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static otagate_call blob_open(void* context, otagate_instance, const otagate_open_request* raw,
                                const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_open_request>(raw);
    const bool good = in.firmware == kFirmware || (in.firmware == 0 && view(in.digest) == self.digest_);
    const otagate_call call = self.ask(reply);
    if (!good) {
      self.reply_status(call, OTAGATE_NOT_FOUND, "there is no such firmware");
      return call;
    }
    std::unique_lock lock(self.mutex_);
    self.filling_started_ = true;
    self.changed_.notify_all();
    const bool verified_only = !self.streaming_ || (in.flags & OTAGATE_OPEN_VERIFIED) != 0;
    const std::uint32_t state = __atomic_load_n(&self.page_.state, __ATOMIC_ACQUIRE);
    if (state == OTAGATE_BLOB_FILLING && verified_only) {
      self.opens_waiting_.push_back(call);
      self.wants_verified_ = true;
      self.changed_.notify_all();
      lock.unlock();
      const std::uint64_t patience = std::min<std::uint64_t>(in.deadline_ms, 60'000);
      self.instance_.post(
          [&self, call] { self.reply_status(call, OTAGATE_DEADLINE, "not verified yet", 1000); },
          milliseconds(patience));
      return call;
    }
    lock.unlock();
    self.open_now(call);
    return call;
  }

  static otagate_call blob_want(void* context, otagate_instance, const otagate_want_request* raw,
                                const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_want_request>(raw);
    const otagate_call call = self.ask(reply);
    {
      std::lock_guard lock(self.mutex_);
      if (!self.readers_.contains(in.reader)) {
        self.instance_.violation("blob_want() on a reader that is not open");
      } else {
        self.wants_[call] = {read_struct<otagate_reply>(reply), in.reader, in.offset,
                             std::max<std::uint64_t>(1, in.min_length)};
      }
    }
    self.instance_.post([&self] { self.answer_wants(); });
    self.instance_.post([&self, call] { self.reply_status(call, OTAGATE_DEADLINE, "not there yet", 1000); },
                        milliseconds(std::min<std::uint64_t>(in.deadline_ms, 60'000)));
    return call;
  }

  static void blob_close(void* context, otagate_instance, otagate_reader reader) {
    Gateway& self = gateway_of(context);
    std::vector<otagate_call> wants;
    {
      std::lock_guard lock(self.mutex_);
      const auto found = self.readers_.find(reader);
      if (found == self.readers_.end())
        return self.instance_.violation("blob_close() of a reader that is not open");
      ::close(found->second.fd);
      self.readers_.erase(found);
      for (const auto& [call, want] : self.wants_)
        if (want.reader == reader) wants.push_back(call);
      self.changed_.notify_all();
    }
    for (otagate_call call : wants) self.reply_status(call, OTAGATE_CANCELLED, "the reader was closed");
  }

  static otagate_call presign(void* context, otagate_instance, const otagate_redirect_request*,
                              const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const otagate_call call = self.ask(reply);
    self.reply_status(call, OTAGATE_UNSUPPORTED, "the store does not presign");
    return call;
  }

  static otagate_call check_in(void* context, otagate_instance, const otagate_check_in* raw,
                               const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_check_in>(raw);
    const bool by_address = (in.flags & OTAGATE_CHECK_IN_BY_ADDRESS) != 0;
    if (!by_address && in.device.size == 0) self.instance_.violation("check_in() without a device");
    if (by_address && (in.device.size != 0 || in.principal != 0 || in.address.size == 0))
      self.instance_.violation("check_in() by address that has a device or a principal, or no address");
    const bool offered = view(in.device) == kDevice;
    const otagate_call call = self.ask(reply);
    self.reply(call, [&self, offered](const otagate_reply& to) {
      auto out = make_struct<otagate_offer>();
      out.next_after_ms = 60'000;
      {
        std::lock_guard lock(self.mutex_);
        ++self.check_ins_;
        if (offered && !self.attempt_over_) {
          if (!self.attempt_) {
            self.attempt_ = 0xa77;
            ++self.offers_;
          }
          out.attempt = self.attempt_;
          out.parts = 1;
          out.lease_ms = 60'000;
        }
        self.changed_.notify_all();
      }
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static std::uint32_t offer_part(void* context, otagate_instance, std::uint64_t attempt, std::uint32_t index,
                                  otagate_offer_part* part) {
    Gateway& self = gateway_of(context);
    std::lock_guard lock(self.mutex_);
    if (attempt != self.attempt_ || attempt == 0 || index != 0) return OTAGATE_NOT_FOUND;
    auto out = make_struct<otagate_offer_part>();
    out.firmware = kFirmware;
    out.component = str("application");
    out.name = str(kName);
    out.version = str(kVersion);
    out.sha256 = str(self.digest_);
    out.blob_size = self.content_.size();
    write_struct(part, out);
    return OTAGATE_OK;
  }

  static otagate_call progress(void* context, otagate_instance, const otagate_progress* raw,
                               const otagate_reply* reply) {
    Gateway& self = gateway_of(context);
    const auto in = read_struct<otagate_progress>(raw);
    bool over = false;
    {
      std::lock_guard lock(self.mutex_);
      if (in.resume_token.size > 256) self.instance_.violation("a resume token is longer than 256 bytes");
      if (in.state > OTAGATE_ATTEMPT_REVERTED)
        self.instance_.violation("progress() with a state that does not exist");
      if (in.attempt != self.attempt_ || in.attempt == 0)
        self.instance_.violation("progress() of an attempt that was never offered");
      over = self.attempt_over_;
      self.reports_.push_back({in.attempt, in.state, in.part, in.offset});
      if (in.state >= OTAGATE_ATTEMPT_CONFIRMED) self.attempt_over_ = true;
      self.changed_.notify_all();
    }
    const otagate_call call = self.ask(reply);
    self.reply(call, [over, state = in.state](const otagate_reply& to) {
      if (over) return deliver(to, OTAGATE_NOT_FOUND, nullptr, "the attempt is over");
      auto out = make_struct<otagate_answer>();
      out.answer = state == OTAGATE_ATTEMPT_NEEDS_CONFIRM ? OTAGATE_CONFIRM : OTAGATE_CONTINUE;
      deliver(to, OTAGATE_OK, &out);
    });
    return call;
  }

  static void blob_bad(void* context, otagate_instance, otagate_reader, otagate_str) {
    gateway_of(context).instance_.violation(
        "it says that the blob is bad, which it is not: it read what is not ready");
  }

  static otagate_transport_host make() {
    auto out = make_struct<otagate_transport_host>();
    out.board = &board;
    out.check_credential = &check_credential;
    out.psk = &psk;
    out.resolve = &resolve;
    out.catalog = &catalog;
    out.blob_open = &blob_open;
    out.blob_want = &blob_want;
    out.blob_close = &blob_close;
    out.presign = &presign;
    out.check_in = &check_in;
    out.offer_part = &offer_part;
    out.progress = &progress;
    out.blob_bad = &blob_bad;
    return out;
  }
};

otagate_transport_host Gateway::make_table() { return Table::make(); }

}  // namespace otagate::kit

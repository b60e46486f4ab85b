// What a transport asks of the gateway: each call is checked, bounded and answered once.
#include "plugin/transport_bridge.hpp"

#include <algorithm>

namespace otagate::plugin {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxSecret = 8192;
constexpr std::size_t kMaxToken = 256;
constexpr std::uint64_t kLongestMs = 24ull * 3600 * 1000;

milliseconds bounded_ms(std::uint64_t ms) { return milliseconds(std::min(ms, kLongestMs)); }

void deliver_status(const otagate_reply& reply, std::uint32_t status, std::string_view message = {},
                    std::uint64_t retry_after_ms = 0) {
  auto completion = make_struct<otagate_completion>();
  completion.status = status;
  completion.retry_after_ms = retry_after_ms;
  completion.message = to_str(message);
  reply.fn(reply.context, &completion);
}

void deliver_result(const otagate_reply& reply, const void* result, std::uint32_t status = OTAGATE_OK) {
  auto completion = make_struct<otagate_completion>();
  completion.status = status;
  completion.result = result;
  reply.fn(reply.context, &completion);
}

void deliver_item(const otagate_reply& reply, const Firmware& firmware) {
  auto out = make_struct<otagate_firmware>();
  out.flags = firmware.flags;
  out.id = firmware.id;
  out.name = to_str(firmware.name);
  out.version = to_str(firmware.version);
  out.type = to_str(firmware.type);
  out.kind = to_str(firmware.kind);
  out.format = to_str(firmware.format);
  out.store = to_str(firmware.store);
  out.sha256 = to_str(firmware.sha256);
  out.tag = to_str(firmware.tag);
  out.blob_size = firmware.size;
  out.modified_ms = firmware.modified_ms;
  out.verified = firmware.verified;
  if (reply.item) reply.item(reply.context, &out);
}

// The strings of a request, or null when one breaks its bound.
class Texts {
 public:
  std::string take(const otagate_str& text, std::size_t most = kMaxName) {
    const auto view = borrowed(text, most);
    if (!view) good_ = false;
    return view ? std::string(*view) : std::string();
  }
  Pairs pairs(const otagate_str& text) {
    auto out = unpack_pairs(text);
    if (!out) good_ = false;
    return out ? std::move(*out) : Pairs();
  }
  explicit operator bool() const { return good_; }

 private:
  bool good_ = true;
};

constexpr const char* kTooLong = "a string of the request is longer than the interface allows";

}  // namespace

struct TransportBridge::Open {
  std::shared_ptr<Blob> blob;
};

struct TransportBridge::Parts {
  struct One {
    OfferPart part;
    std::string params;
  };
  std::vector<One> all;
};

template <class T, class Start, class DeliverValue>
otagate_call TransportBridge::serve(const otagate_reply* reply, otagate_reader reader, Start start,
                                    DeliverValue deliver) {
  const otagate_call handle = ask(reply, reader);
  if (!handle) return 0;
  start(Reply<T>([weak = weak_from_this(), handle, deliver = std::move(deliver)](Result<T> result) {
    auto self = std::static_pointer_cast<TransportBridge>(weak.lock());
    if (!self) return;
    self->answer(handle, [raw = self.get(), result = std::move(result), deliver](const otagate_reply& to) {
      if (result)
        deliver(*raw, *result, to);
      else
        deliver_status(to, static_cast<std::uint32_t>(result.error().code()), result.error().message(),
                       result.error().retry_after_ms());
    });
  }));
  return handle;
}

otagate_call TransportBridge::refuse_call(const otagate_reply* reply, const char* why) {
  ++state().counters.oversize;
  const otagate_call handle = ask(reply);
  if (handle) answer_status(handle, OTAGATE_INVALID, why);
  return handle;
}

otagate_call TransportBridge::check_credential(const otagate_credential* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_credential>(raw);
  Texts texts;
  Credential credential{in.scheme, texts.take(in.user), texts.take(in.secret, kMaxSecret),
                        texts.take(in.peer)};
  if (!texts) return refuse_call(reply, kTooLong);
  return serve<Principal>(
      reply, 0,
      [&](Reply<Principal> to) { services_.check_credential(name(), std::move(credential), std::move(to)); },
      [](TransportBridge&, const Principal& principal, const otagate_reply& to) {
        auto out = make_struct<otagate_principal>();
        out.principal = principal.id;
        out.device = to_str(principal.device);
        out.type = to_str(principal.type);
        deliver_result(to, &out);
      });
}

otagate_call TransportBridge::psk(const otagate_str& identity, const otagate_reply* reply) {
  Texts texts;
  std::string who = texts.take(identity);
  if (!texts) return refuse_call(reply, kTooLong);
  return serve<Psk>(
      reply, 0, [&](Reply<Psk> to) { services_.psk(name(), std::move(who), std::move(to)); },
      [](TransportBridge&, const Psk& psk, const otagate_reply& to) {
        auto out = make_struct<otagate_psk>();
        out.key = to_str(psk.key);
        out.principal = psk.principal;
        deliver_result(to, &out);
      });
}

otagate_call TransportBridge::resolve(const otagate_resolve_request* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_resolve_request>(raw);
  Texts texts;
  ResolveRequest request;
  request.principal = in.principal;
  request.name = texts.take(in.name);
  request.version = texts.take(in.version);
  request.type = texts.take(in.type);
  request.digest = texts.take(in.digest);
  request.prereleases = (in.flags & OTAGATE_RESOLVE_PRERELEASES) != 0;
  if (!texts) return refuse_call(reply, kTooLong);
  return serve<std::vector<Firmware>>(
      reply, 0,
      [&](Reply<std::vector<Firmware>> to) { services_.resolve(name(), std::move(request), std::move(to)); },
      [](TransportBridge&, const std::vector<Firmware>& found, const otagate_reply& to) {
        for (const Firmware& firmware : found) deliver_item(to, firmware);
        if (found.empty())
          deliver_status(to, OTAGATE_NOT_FOUND, "there is no such firmware");
        else if (found.size() > 1)
          deliver_status(to, OTAGATE_AMBIGUOUS,
                         "several device types have that name and version: name the type");
        else
          deliver_result(to, nullptr);
      });
}

otagate_call TransportBridge::catalog(const otagate_catalog_request* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_catalog_request>(raw);
  Texts texts;
  CatalogRequest request;
  request.principal = in.principal;
  request.limit = std::clamp(in.limit, 1u, 1000u);
  request.cursor = texts.take(in.cursor, 8192);
  request.name = texts.take(in.name);
  request.type = texts.take(in.type);
  request.store = texts.take(in.store);
  if (!texts) return refuse_call(reply, kTooLong);
  return serve<CatalogPage>(
      reply, 0, [&](Reply<CatalogPage> to) { services_.catalog(name(), std::move(request), std::move(to)); },
      [](TransportBridge&, const CatalogPage& page, const otagate_reply& to) {
        for (const Firmware& firmware : page.items) deliver_item(to, firmware);
        auto out = make_struct<otagate_catalog_result>();
        out.cursor = to_str(page.cursor);
        deliver_result(to, &out);
      });
}

otagate_call TransportBridge::blob_open(const otagate_open_request* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_open_request>(raw);
  Texts texts;
  OpenRequest request;
  request.principal = in.principal;
  request.firmware = in.firmware;
  request.digest = texts.take(in.digest);
  request.peer = texts.take(in.peer);
  request.offset = in.offset;
  request.timeout = bounded_ms(in.deadline_ms);
  request.verified_only = !streaming() || (in.flags & OTAGATE_OPEN_VERIFIED) != 0;
  if (!texts) return refuse_call(reply, kTooLong);
  const bool stream = !request.verified_only;
  return serve<std::shared_ptr<Blob>>(
      reply, 0,
      [&](Reply<std::shared_ptr<Blob>> to) {
        services_.open(name(), std::move(request), stream, std::move(to));
      },
      [](TransportBridge& self, const std::shared_ptr<Blob>& blob, const otagate_reply& to) {
        auto open = std::make_shared<Open>();
        open->blob = blob;
        const otagate_reader reader = blob ? self.readers_.insert(std::move(open)) : 0;
        if (!reader)
          return deliver_status(to, OTAGATE_BUSY, "the transport holds 65,536 readers already", 1000);
        const std::string tag = blob->tag();
        const std::string sha256 = blob->sha256();
        auto out = make_struct<otagate_blob>();
        out.fd = blob->fd();
        out.reader = reader;
        out.page = blob->page();
        out.tag = to_str(tag);
        out.sha256 = to_str(sha256);
        out.blob_size = blob->size();
        deliver_result(to, &out);
      });
}

otagate_call TransportBridge::blob_want(const otagate_want_request* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_want_request>(raw);
  const auto open = readers_.find(in.reader);
  if (!open) {
    ++state().counters.stray;
    return refuse_call(reply, "that reader is closed or was never open");
  }
  return serve<std::uint64_t>(
      reply, in.reader,
      [&](Reply<std::uint64_t> to) {
        (*open)->blob->want(in.offset, std::max<std::uint64_t>(1, in.min_length), bounded_ms(in.deadline_ms),
                            std::move(to));
      },
      [](TransportBridge&, std::uint64_t readable, const otagate_reply& to) {
        auto out = make_struct<otagate_want_result>();
        out.readable = readable;
        deliver_result(to, &out);
      });
}

void TransportBridge::blob_close(otagate_reader reader) {
  const auto open = readers_.take(reader);
  if (!open) {
    ++state().counters.stray;
    state().complain("it closed a reader twice, or one that was never open");
    return;
  }
  for (const auto& [handle, entry] : asked())
    if (entry->reader == reader) answer_status(handle, OTAGATE_CANCELLED, "the reader was closed");
}

void TransportBridge::blob_bad(otagate_reader reader, const otagate_str& why) {
  if (const auto open = readers_.find(reader))
    (*open)->blob->report_bad(message_text(why));
  else
    ++state().counters.stray;
}

otagate_call TransportBridge::presign(const otagate_redirect_request* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_redirect_request>(raw);
  const RedirectRequest request{in.principal, in.firmware, in.method == 1, bounded_ms(in.deadline_ms)};
  return serve<std::string>(
      reply, 0, [&](Reply<std::string> to) { services_.presign(name(), request, std::move(to)); },
      [](TransportBridge&, const std::string& url, const otagate_reply& to) {
        auto out = make_struct<otagate_redirect>();
        out.url = to_str(url);
        deliver_result(to, &out);
      });
}

// ---------------------------------------------------------------- devices

otagate_call TransportBridge::check_in(const otagate_check_in* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_check_in>(raw);
  Texts texts;
  CheckIn who;
  who.principal = in.principal;
  who.midway = (in.flags & OTAGATE_CHECK_IN_MIDWAY) != 0;
  who.by_address = (in.flags & OTAGATE_CHECK_IN_BY_ADDRESS) != 0;
  who.device = texts.take(in.device);
  who.type = texts.take(in.type);
  who.address = texts.take(in.address);
  who.versions = texts.pairs(in.versions);
  who.attributes = texts.pairs(in.attributes);
  who.acting_for = texts.take(in.acting_for);
  who.timeout = bounded_ms(in.deadline_ms);
  if (!texts) return refuse_call(reply, kTooLong);
  return serve<Offer>(
      reply, 0, [&](Reply<Offer> to) { services_.check_in(name(), std::move(who), std::move(to)); },
      [](TransportBridge& self, const Offer& offer, const otagate_reply& to) {
        auto out = make_struct<otagate_offer>();
        out.next_after_ms = static_cast<std::uint64_t>(offer.next_after.count());
        if (offer.attempt) {
          self.keep_offer(offer);
          out.parts = static_cast<std::uint32_t>(offer.parts.size());
          out.attempt = offer.attempt;
          out.lease_ms = static_cast<std::uint64_t>(offer.lease.count());
          out.resume_token = to_str(offer.resume_token);
          out.mode = offer.download_only ? 1 : 0;
        }
        deliver_result(to, &out);
      });
}

void TransportBridge::keep_offer(const Offer& offer) {
  auto parts = std::make_shared<Parts>();
  for (const OfferPart& part : offer.parts) parts->all.push_back({part, pack_pairs(part.params)});
  std::lock_guard lock(offers_mutex_);
  auto& known = offers_[offer.attempt];
  const auto same = [&](const Parts& other) {
    return std::equal(parts->all.begin(), parts->all.end(), other.all.begin(), other.all.end(),
                      [](const Parts::One& a, const Parts::One& b) {
                        return a.part.firmware == b.part.firmware && a.part.sha256 == b.part.sha256 &&
                               a.part.size == b.part.size && a.params == b.params &&
                               a.part.component == b.part.component && a.part.name == b.part.name &&
                               a.part.version == b.part.version;
                      });
  };
  // The plugin may still read what an earlier answer for this attempt gave it.
  if (known.empty() || !same(*known.back())) known.push_back(std::move(parts));
}

void TransportBridge::forget_offer(std::uint64_t attempt) {
  std::lock_guard lock(offers_mutex_);
  offers_.erase(attempt);
}

std::uint32_t TransportBridge::offer_part(std::uint64_t attempt, std::uint32_t index,
                                          otagate_offer_part* part) {
  std::lock_guard lock(offers_mutex_);
  const auto found = offers_.find(attempt);
  if (found == offers_.end() || index >= found->second.back()->all.size()) return OTAGATE_NOT_FOUND;
  const Parts::One& one = found->second.back()->all[index];
  auto out = make_struct<otagate_offer_part>();
  out.index = index;
  out.firmware = one.part.firmware;
  out.component = to_str(one.part.component);
  out.name = to_str(one.part.name);
  out.version = to_str(one.part.version);
  out.sha256 = to_str(one.part.sha256);
  out.params = to_str(one.params);
  out.blob_size = one.part.size;
  write_struct(part, out);
  return OTAGATE_OK;
}

otagate_call TransportBridge::progress(const otagate_progress* raw, const otagate_reply* reply) {
  const auto in = read_struct<otagate_progress>(raw);
  Texts texts;
  Progress report;
  report.attempt = in.attempt;
  report.state = in.state;
  report.part = in.part;
  report.code = in.code;
  report.offset = in.offset;
  report.resume_token = texts.take(in.resume_token, kMaxToken);
  report.message = message_text(in.message);
  report.principal = in.principal;
  report.device = texts.take(in.device);
  if (!texts) return refuse_call(reply, "a resume token has at most 256 bytes, a device id 1024");
  if (in.state > OTAGATE_ATTEMPT_REVERTED) return refuse_call(reply, "there is no such state of an attempt");
  const bool final = in.state >= OTAGATE_ATTEMPT_CONFIRMED;
  const std::uint64_t attempt = in.attempt;
  return serve<std::uint32_t>(
      reply, 0,
      [&](Reply<std::uint32_t> to) { services_.progress(name(), std::move(report), std::move(to)); },
      [final, attempt](TransportBridge& self, std::uint32_t answer, const otagate_reply& to) {
        auto out = make_struct<otagate_answer>();
        out.answer = answer;
        deliver_result(to, &out);
        if (final) self.forget_offer(attempt);
      });
}

}  // namespace otagate::plugin

// What the gateway offers a transport, in C++ terms. Each call comes in two forms: with a callback it
// returns at once and `done(Outcome<T>)` comes once, on any thread, maybe before the call returned, and
// must not block; without one it waits and throws Failure, for plugins that have a thread per device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "otagate/cpp/host.hpp"
#include "otagate/transport.h"

namespace otagate::sdk {

class TransportHost;

struct Principal {
  std::uint64_t id = 0;  // 0: anonymous
  std::string device{};  // bound to this device, or empty
  std::string type{};
};

struct Psk {
  std::string key{};
  std::uint64_t principal = 0;
};

struct Firmware {
  std::uint64_t id = 0;
  std::uint32_t flags = 0;     // OTAGATE_FIRMWARE_*
  std::uint32_t verified = 0;  // OTAGATE_VERIFIED_*
  std::string name{};
  std::string version{};
  std::string type{};
  std::string kind{};
  std::string format{};
  std::string store{};
  std::string sha256{};
  std::string tag{};
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::int64_t modified_ms = 0;
};

struct FirmwarePage {
  std::vector<Firmware> items{};
  std::string cursor{};  // empty: that was the last page
};

// Borrowed for the call, as all requests here are.
struct Credential {
  std::uint32_t scheme = OTAGATE_AUTH_NONE;
  std::string_view user{};
  std::string_view secret{};
  std::string_view peer{};
};

struct ResolveRequest {
  std::uint64_t principal = 0;
  std::string_view name{};
  std::string_view version{};
  std::string_view type{};
  std::string_view digest{};
  bool prereleases = false;
};

struct CatalogRequest {
  std::uint64_t principal = 0;
  std::uint32_t limit = 100;
  std::string_view cursor{};
  std::string_view name{};
  std::string_view type{};
  std::string_view store{};
};

struct OpenRequest {
  std::uint64_t principal = 0;
  std::uint64_t firmware = 0;
  std::string_view digest{};
  std::string_view peer{};
  std::uint64_t offset = 0;
  std::uint64_t deadline_ms = 10000;
  bool verified_only = false;  // also where the transport declares streaming
};

struct CheckIn {
  std::uint64_t principal = 0;
  std::string_view device{};
  std::string_view type{};
  std::string_view address{};
  Pairs versions{};  // component and version
  Pairs attributes{};
  std::string_view acting_for{};
  std::uint64_t deadline_ms = 0;
  bool midway = false;      // not started anew since it was last heard of
  bool by_address = false;  // whoever is at `address`; `device` is empty
};

struct OfferPart {
  std::uint64_t firmware = 0;
  std::string component{};
  std::string name{};
  std::string version{};
  std::string sha256{};
  Pairs params{};
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
};

struct Offer {
  std::uint64_t attempt = 0;  // 0: nothing to do, come back after next_after_ms
  std::uint64_t next_after_ms = 0;
  std::uint64_t lease_ms = 0;
  std::string resume_token{};
  bool download_only = false;
  std::vector<OfferPart> parts{};

  explicit operator bool() const { return attempt != 0; }
};

struct Progress {
  std::uint64_t attempt = 0;
  std::uint32_t state = OTAGATE_ATTEMPT_DOWNLOADING;
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
  std::int32_t code = 0;
  std::string_view resume_token{};
  std::string_view message{};
  // Who reports; both empty: the transport itself vouches for the attempt.
  std::uint64_t principal = 0;
  std::string_view device{};
};

// An open blob. Move-only; closing it (or its end) cancels its open wants and gives the descriptor
// back. Any thread, one at a time; ready() and state() from any number of threads.
class Reader {
 public:
  Reader() = default;
  Reader(Reader&& other) noexcept { swap(other); }
  Reader& operator=(Reader&& other) noexcept {
    Reader(std::move(other)).swap(*this);
    return *this;
  }
  ~Reader() { close(); }
  void close();

  explicit operator bool() const { return reader_ != 0; }
  // Belongs to the reader: pread() or sendfile() with offsets; never map it, never close it.
  int fd() const { return fd_; }
  const std::string& tag() const { return tag_; }
  const std::string& sha256() const { return sha256_; }
  std::uint64_t size() const { return size_; }  // OTAGATE_SIZE_UNKNOWN until it is known
  std::uint64_t total() const { return page_ ? __atomic_load_n(&page_->total, __ATOMIC_ACQUIRE) : size_; }
  // Bytes from the start that may be sent. Look at state() after reading them from the descriptor and
  // before sending: OTAGATE_BLOB_FAILED means that no further byte may leave.
  std::uint64_t ready() const { return page_ ? __atomic_load_n(&page_->ready, __ATOMIC_ACQUIRE) : 0; }
  std::uint32_t state() const {
    return page_ ? __atomic_load_n(&page_->state, __ATOMIC_ACQUIRE) : OTAGATE_BLOB_FAILED;
  }
  bool failed() const { return state() == OTAGATE_BLOB_FAILED; }
  // The shared page itself; valid until close().
  const otagate_blob_page* page() const { return page_; }

  // The number of bytes readable from `offset` on, once that is at least min_length or reaches the
  // end of the blob; 0 is the end.
  template <class Done>
  otagate_call want(std::uint64_t offset, std::uint64_t min_length, std::uint64_t deadline_ms,
                    Done done) const;
  std::uint64_t want(std::uint64_t offset, std::uint64_t min_length, std::uint64_t deadline_ms) const;

  // Reading the descriptor failed or came up short of ready(): the gateway fetches the blob again.
  void report_bad(std::string_view why) const;

 private:
  friend class TransportHost;
  void swap(Reader& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(reader_, other.reader_);
    std::swap(fd_, other.fd_);
    std::swap(page_, other.page_);
    std::swap(tag_, other.tag_);
    std::swap(sha256_, other.sha256_);
    std::swap(size_, other.size_);
  }

  const TransportHost* host_ = nullptr;
  otagate_reader reader_ = 0;
  int fd_ = -1;
  const otagate_blob_page* page_ = nullptr;
  std::string tag_;
  std::string sha256_;
  std::uint64_t size_ = OTAGATE_SIZE_UNKNOWN;
};

// Any thread. Lives until after the transport is destroyed.
class TransportHost : public Host {
 public:
  TransportHost(const otagate_host* host, otagate_instance instance)
      : Host(host, instance),
        transport_(read_struct<otagate_transport_host>(
            table().interface ? table().interface(table().context, OTAGATE_TRANSPORT_HOST_1) : nullptr)),
        board_(transport_.board ? transport_.board(table().context, instance) : nullptr) {}

  // Change when an answer of resolve() or catalog(), or who may see what, may have changed.
  std::uint64_t catalog_version() const {
    return board_ ? __atomic_load_n(&board_->catalog, __ATOMIC_ACQUIRE) : 0;
  }
  std::uint64_t epoch() const { return board_ ? __atomic_load_n(&board_->epoch, __ATOMIC_ACQUIRE) : 0; }

  template <class Done>
  otagate_call check_credential(const Credential& credential, Done done) const {
    auto in = make_struct<otagate_credential>();
    in.scheme = credential.scheme;
    in.user = str(credential.user);
    in.secret = str(credential.secret);
    in.peer = str(credential.peer);
    return call<Principal>(transport_.check_credential, &in, &keep_principal, nullptr, std::move(done));
  }
  Principal check_credential(const Credential& credential) const {
    return wait<Principal>([&](auto done) { return check_credential(credential, std::move(done)); }).take();
  }

  template <class Done>
  otagate_call psk(std::string_view identity, Done done) const {
    return call<Psk>(
        transport_.psk, str(identity),
        [](Psk& out, const void* raw) {
          const auto in = read_struct<otagate_psk>(raw);
          out.key = view(in.key);
          out.principal = in.principal;
        },
        nullptr, std::move(done));
  }
  Psk psk(std::string_view identity) const {
    return wait<Psk>([&](auto done) { return psk(identity, std::move(done)); }).take();
  }

  // One firmware, or with OTAGATE_AMBIGUOUS the choices: the outcome's value holds what was found.
  template <class Done>
  otagate_call resolve(const ResolveRequest& request, Done done) const {
    auto in = make_struct<otagate_resolve_request>();
    in.flags = request.prereleases ? OTAGATE_RESOLVE_PRERELEASES : 0u;
    in.principal = request.principal;
    in.name = str(request.name);
    in.version = str(request.version);
    in.type = str(request.type);
    in.digest = str(request.digest);
    return call<std::vector<Firmware>>(
        transport_.resolve, &in, [](std::vector<Firmware>&, const void*) {},
        [](std::vector<Firmware>& out, const void* raw) { out.push_back(firmware(raw)); }, std::move(done));
  }
  Firmware resolve(const ResolveRequest& request) const {
    auto found =
        wait<std::vector<Firmware>>([&](auto done) { return resolve(request, std::move(done)); }).take();
    if (found.empty()) throw Failure(OTAGATE_INTERNAL, "the gateway resolved a firmware and named none");
    return std::move(found.front());
  }

  template <class Done>
  otagate_call catalog(const CatalogRequest& request, Done done) const {
    auto in = make_struct<otagate_catalog_request>();
    in.limit = request.limit;
    in.principal = request.principal;
    in.cursor = str(request.cursor);
    in.name = str(request.name);
    in.type = str(request.type);
    in.store = str(request.store);
    return call<FirmwarePage>(
        transport_.catalog, &in,
        [](FirmwarePage& out, const void* raw) {
          out.cursor = view(read_struct<otagate_catalog_result>(raw).cursor);
        },
        [](FirmwarePage& out, const void* raw) { out.items.push_back(firmware(raw)); }, std::move(done));
  }
  FirmwarePage catalog(const CatalogRequest& request) const {
    return wait<FirmwarePage>([&](auto done) { return catalog(request, std::move(done)); }).take();
  }

  template <class Done>
  otagate_call open(const OpenRequest& request, Done done) const {
    auto in = make_struct<otagate_open_request>();
    in.flags = request.verified_only ? OTAGATE_OPEN_VERIFIED : 0u;
    in.principal = request.principal;
    in.firmware = request.firmware;
    in.digest = str(request.digest);
    in.peer = str(request.peer);
    in.offset = request.offset;
    in.deadline_ms = request.deadline_ms;
    return call<Reader>(
        transport_.blob_open, &in, [this](Reader& out, const void* raw) { out = reader(raw); }, nullptr,
        std::move(done));
  }
  Reader open(const OpenRequest& request) const {
    return wait<Reader>([&](auto done) { return open(request, std::move(done)); }).take();
  }

  // A URL of the store itself, for OTAGATE_FIRMWARE_REDIRECT.
  template <class Done>
  otagate_call presign(std::uint64_t principal, std::uint64_t firmware_id, bool head,
                       std::uint64_t deadline_ms, Done done) const {
    auto in = make_struct<otagate_redirect_request>();
    in.method = head ? 1u : 0u;
    in.principal = principal;
    in.firmware = firmware_id;
    in.deadline_ms = deadline_ms;
    return call<std::string>(
        transport_.presign, &in,
        [](std::string& out, const void* raw) { out = view(read_struct<otagate_redirect>(raw).url); },
        nullptr, std::move(done));
  }

  // An offer with its parts, or none (attempt 0).
  template <class Done>
  otagate_call check_in(const CheckIn& who, Done done) const {
    const std::string versions = pack(who.versions);
    const std::string attributes = pack(who.attributes);
    auto in = make_struct<otagate_check_in>();
    in.flags =
        (who.midway ? OTAGATE_CHECK_IN_MIDWAY : 0u) | (who.by_address ? OTAGATE_CHECK_IN_BY_ADDRESS : 0u);
    in.principal = who.principal;
    in.device = str(who.device);
    in.type = str(who.type);
    in.address = str(who.address);
    in.versions = str(versions);
    in.attributes = str(attributes);
    in.acting_for = str(who.acting_for);
    in.deadline_ms = who.deadline_ms;
    return call<Offer>(
        transport_.check_in, &in, [this](Offer& out, const void* raw) { out = offer(raw); }, nullptr,
        std::move(done));
  }
  Offer check_in(const CheckIn& who) const {
    return wait<Offer>([&](auto done) { return check_in(who, std::move(done)); }).take();
  }

  // OTAGATE_CONTINUE, _STOP, _CONFIRM or _REVERT.
  template <class Done>
  otagate_call progress(const Progress& report, Done done) const {
    auto in = make_struct<otagate_progress>();
    in.state = report.state;
    in.attempt = report.attempt;
    in.part = report.part;
    in.code = report.code;
    in.offset = report.offset;
    in.resume_token = str(report.resume_token);
    in.message = str(report.message);
    in.principal = report.principal;
    in.device = str(report.device);
    return call<std::uint32_t>(
        transport_.progress, &in,
        [](std::uint32_t& out, const void* raw) { out = read_struct<otagate_answer>(raw).answer; }, nullptr,
        std::move(done));
  }
  std::uint32_t progress(const Progress& report) const {
    return wait<std::uint32_t>([&](auto done) { return progress(report, std::move(done)); }).take();
  }

  const otagate_transport_host& transport_table() const { return transport_; }

 private:
  friend class Reader;

  template <class T, class Function, class In, class Result, class Item, class Done>
  otagate_call call(Function function, const In& in, Result result, Item item, Done done) const {
    return ask<T>(
        [&](const otagate_reply& reply) {
          return function ? function(table().context, instance(), in, &reply) : otagate_call{0};
        },
        std::move(result), std::move(item), std::move(done));
  }

  static void keep_principal(Principal& out, const void* raw) {
    const auto in = read_struct<otagate_principal>(raw);
    out.id = in.principal;
    out.device = view(in.device);
    out.type = view(in.type);
  }

  static Firmware firmware(const void* raw) {
    const auto in = read_struct<otagate_firmware>(raw);
    Firmware out;
    out.id = in.id;
    out.flags = in.flags;
    out.verified = in.verified;
    out.name = view(in.name);
    out.version = view(in.version);
    out.type = view(in.type);
    out.kind = view(in.kind);
    out.format = view(in.format);
    out.store = view(in.store);
    out.sha256 = view(in.sha256);
    out.tag = view(in.tag);
    out.size = in.blob_size;
    out.modified_ms = in.modified_ms;
    return out;
  }

  Reader reader(const void* raw) const {
    const auto in = read_struct<otagate_blob>(raw);
    Reader out;
    out.host_ = this;
    out.reader_ = in.reader;
    out.fd_ = in.fd;
    out.page_ = in.page;
    out.tag_ = view(in.tag);
    out.sha256_ = view(in.sha256);
    out.size_ = in.blob_size;
    return out;
  }

  Offer offer(const void* raw) const {
    const auto in = read_struct<otagate_offer>(raw);
    Offer out;
    out.attempt = in.attempt;
    out.next_after_ms = in.next_after_ms;
    out.lease_ms = in.lease_ms;
    out.resume_token = view(in.resume_token);
    out.download_only = in.mode == 1;
    for (std::uint32_t index = 0; in.attempt && index < in.parts; ++index) {
      auto part = make_struct<otagate_offer_part>();
      const std::uint32_t status =
          transport_.offer_part ? transport_.offer_part(table().context, instance(), in.attempt, index, &part)
                                : OTAGATE_UNSUPPORTED;
      if (status != OTAGATE_OK) throw Failure(status, "the gateway does not say what part of an offer is");
      out.parts.push_back({part.firmware, std::string(view(part.component)), std::string(view(part.name)),
                           std::string(view(part.version)), std::string(view(part.sha256)),
                           unpack(view(part.params)), part.blob_size});
    }
    return out;
  }

  const otagate_transport_host transport_;
  const otagate_board* const board_;
};

inline void Reader::close() {
  if (reader_ && host_->transport_.blob_close)
    host_->transport_.blob_close(host_->table().context, host_->instance(), reader_);
  reader_ = 0;
  page_ = nullptr;
  fd_ = -1;
}

inline void Reader::report_bad(std::string_view why) const {
  if (reader_ && host_->transport_.blob_bad)
    host_->transport_.blob_bad(host_->table().context, host_->instance(), reader_, str(why));
}

template <class Done>
otagate_call Reader::want(std::uint64_t offset, std::uint64_t min_length, std::uint64_t deadline_ms,
                          Done done) const {
  auto in = make_struct<otagate_want_request>();
  in.reader = reader_;
  in.offset = offset;
  in.min_length = min_length;
  in.deadline_ms = deadline_ms;
  return host_->call<std::uint64_t>(
      host_->transport_.blob_want, &in,
      [](std::uint64_t& out, const void* raw) { out = read_struct<otagate_want_result>(raw).readable; },
      nullptr, std::move(done));
}

inline std::uint64_t Reader::want(std::uint64_t offset, std::uint64_t min_length,
                                  std::uint64_t deadline_ms) const {
  return host_
      ->wait<std::uint64_t>([&](auto done) { return want(offset, min_length, deadline_ms, std::move(done)); })
      .take();
}

}  // namespace otagate::sdk

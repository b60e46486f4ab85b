// A configured transport, as the gateway calls it; and what the gateway answers it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "otagate/transport.h"
#include "plugin/instance.hpp"

namespace otagate::plugin {

struct Credential {
  std::uint32_t scheme = OTAGATE_AUTH_NONE;  // OTAGATE_AUTH_*
  std::string user;
  std::string secret;
  std::string peer;
};

struct Principal {
  std::uint64_t id = 0;
  std::string device;
  std::string type;
};

struct Psk {
  std::string key;  // bytes
  std::uint64_t principal = 0;
};

struct Firmware {
  std::uint64_t id = 0;
  std::uint32_t flags = 0;     // OTAGATE_FIRMWARE_*
  std::uint32_t verified = 0;  // OTAGATE_VERIFIED_*
  std::string name;
  std::string version;
  std::string type;
  std::string kind;
  std::string format;
  std::string store;
  std::string sha256;
  std::string tag;
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::int64_t modified_ms = 0;
};

struct ResolveRequest {
  std::uint64_t principal = 0;
  std::string name;
  std::string version;
  std::string type;
  std::string digest;
  bool prereleases = false;
};

struct CatalogRequest {
  std::uint64_t principal = 0;
  std::uint32_t limit = 100;  // 1 to 1,000
  std::string cursor;
  std::string name;
  std::string type;
  std::string store;
};

struct CatalogPage {
  std::vector<Firmware> items;
  std::string cursor;
};

struct OpenRequest {
  std::uint64_t principal = 0;
  std::uint64_t firmware = 0;  // or 0 and digest
  std::string digest;
  std::string peer;
  std::uint64_t offset = 0;
  std::chrono::milliseconds timeout{0};
  bool verified_only = false;
};

// An open blob. Implemented by the gateway; dropping the last reference closes it. Any thread.
class Blob {
 public:
  virtual ~Blob() = default;
  virtual int fd() const = 0;                         // read-only, borrowed
  virtual const otagate_blob_page* page() const = 0;  // shared memory, lives as long as this
  virtual std::string tag() const = 0;
  virtual std::string sha256() const = 0;  // empty while unknown
  virtual std::uint64_t size() const = 0;  // or OTAGATE_SIZE_UNKNOWN
  // Bytes readable from `offset` on, once they are min_length or reach the end. Exactly one reply, any
  // thread, maybe inline. Dropping the blob completes it with cancelled.
  virtual void want(std::uint64_t offset, std::uint64_t min_length, std::chrono::milliseconds timeout,
                    Reply<std::uint64_t> reply) = 0;
  virtual void report_bad(std::string_view why) = 0;
};

struct RedirectRequest {
  std::uint64_t principal = 0;
  std::uint64_t firmware = 0;
  bool head = false;
  std::chrono::milliseconds timeout{0};
};

struct CheckIn {
  std::uint64_t principal = 0;
  std::string device;
  std::string type;
  std::string address;
  Pairs versions;
  Pairs attributes;
  std::string acting_for;
  std::chrono::milliseconds timeout{0};  // long poll; 0: answer at once
  bool midway = false;                   // not started anew since it was last heard of
  bool by_address = false;               // whoever is at `address` of the instance; `device` is empty
};

struct OfferPart {
  std::uint64_t firmware = 0;
  std::string component;
  std::string name;
  std::string version;
  std::string sha256;
  Pairs params;
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
};

struct Offer {
  std::uint64_t attempt = 0;  // 0: nothing to do
  std::chrono::milliseconds next_after{0};
  std::chrono::milliseconds lease{0};
  std::string resume_token;
  bool download_only = false;
  std::vector<OfferPart> parts;  // 1 to 16
};

struct Progress {
  std::uint64_t attempt = 0;
  std::uint32_t state = 0;  // OTAGATE_ATTEMPT_*
  std::uint32_t part = 0;
  std::int32_t code = 0;
  std::uint64_t offset = 0;
  std::string resume_token;
  std::string message;
  // Of the peer that reports; both empty: the transport vouches for the attempt.
  std::uint64_t principal = 0;
  std::string device;
};

// What the gateway does for transports. Any thread, must not block; each reply exactly once, any thread,
// maybe inline. A reply that comes after the plugin has cancelled its call is dropped (and with it the
// Blob it carried). Must outlive the instance.
class TransportServices {
 public:
  virtual ~TransportServices() = default;
  virtual void check_credential(std::string_view instance, Credential credential, Reply<Principal> reply) = 0;
  virtual void psk(std::string_view instance, std::string identity, Reply<Psk> reply) = 0;
  // One firmware; several are told to the plugin as ambiguous.
  virtual void resolve(std::string_view instance, ResolveRequest request,
                       Reply<std::vector<Firmware>> reply) = 0;
  virtual void catalog(std::string_view instance, CatalogRequest request, Reply<CatalogPage> reply) = 0;
  // `streaming`: the transport serves blobs while they are filled (and did not ask for a verified one).
  virtual void open(std::string_view instance, OpenRequest request, bool streaming,
                    Reply<std::shared_ptr<Blob>> reply) = 0;
  virtual void presign(std::string_view instance, RedirectRequest request, Reply<std::string> reply) = 0;
  virtual void check_in(std::string_view instance, CheckIn check_in, Reply<Offer> reply) = 0;
  // OTAGATE_CONTINUE, _STOP, _CONFIRM or _REVERT.
  virtual void progress(std::string_view instance, Progress progress, Reply<std::uint32_t> reply) = 0;
};

// Thread-safe. Replies come exactly once, on the registry's thread, and must not block.
class TransportInstance {
 public:
  virtual ~TransportInstance() = default;

  virtual const std::string& name() const = 0;
  virtual InstanceStatus status() const = 0;
  virtual bool streaming() const = 0;

  virtual void start(std::chrono::milliseconds timeout, Reply<void> reply) = 0;
  virtual void reload(std::chrono::milliseconds timeout, Reply<void> reply) = 0;
  // Hints to the plugin; queued, never fail. catalog_changed also moves the board's counter at once.
  virtual void nudge(std::string device) = 0;
  virtual void revoke(std::uint64_t attempt, std::uint32_t reason) = 0;  // OTAGATE_REVOKED_*
  virtual void catalog_changed() = 0;
  // Credentials, or who may see what, changed: principals have to be checked again.
  virtual void credentials_changed() = 0;

  // Stops the transport within `drain`, cancels what it still waits for, takes its readers away and
  // destroys it. `done` once, on the registry's thread. A plugin that does not let go is left behind.
  virtual void close(std::chrono::milliseconds drain, std::function<void()> done) = 0;
};

}  // namespace otagate::plugin

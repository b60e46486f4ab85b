// What this plugin asks of its host, on its own thread: the seam between the routes and the plugin ABI.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "otagate/cpp/transport_host.hpp"

namespace otagate::coap {

using sdk::Firmware;
using sdk::FirmwarePage;
using sdk::Outcome;

// An open reader. The descriptor and the page live until close(reader).
struct OpenBlob {
  std::uint64_t reader = 0;
  int fd = -1;
  const otagate_blob_page* page = nullptr;
  std::string tag;
  std::string sha256;  // empty while unknown
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
};

struct ResolveQuery {
  std::string_view name;
  std::string_view version;
  std::string_view type;
  std::string_view digest;  // instead of the others
};

struct CatalogQuery {
  std::string_view name;
  std::string_view type;
  std::string_view store;
  std::string_view cursor;
  std::uint32_t limit = 1;
};

struct OpenQuery {
  std::uint64_t firmware = 0;
  std::string_view peer;
  std::uint64_t offset = 0;
  bool verified_only = true;
  std::chrono::milliseconds deadline{0};
};

// Used by the listener's thread only. Each `done` is called at most once, on that thread, from
// run_pending() or wait_pending(): never from inside the call that it belongs to, never after the
// Gateway is gone.
class Gateway {
 public:
  Gateway() = default;
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  virtual ~Gateway() = default;

  // Changes whenever an answer of resolve() or catalog() may have.
  virtual std::uint64_t catalog_version() const = 0;
  virtual void resolve(const ResolveQuery& query,
                       std::function<void(Outcome<std::vector<Firmware>>)> done) = 0;
  virtual void catalog(const CatalogQuery& query, std::function<void(Outcome<FirmwarePage>)> done) = 0;
  virtual void open(const OpenQuery& query, std::function<void(Outcome<OpenBlob>)> done) = 0;
  // How many bytes can be read from `offset` on, once those are `length` or reach the end.
  virtual void want(std::uint64_t reader, std::uint64_t offset, std::uint64_t length,
                    std::chrono::milliseconds deadline, std::function<void(Outcome<std::uint64_t>)> done) = 0;
  // Its file cannot be read: the host cuts its readers, says so, and fetches it again.
  virtual void report_bad(std::uint64_t reader, std::string_view why) = 0;
  virtual void close(std::uint64_t reader) = 0;

  // Who presents that. `credential` is borrowed for the call.
  virtual void check_credential(const sdk::Credential& credential,
                                std::function<void(Outcome<sdk::Principal>)> done) = 0;
  // Changes whenever an answer of check_credential() may have.
  virtual std::uint64_t epoch() const = 0;

  virtual void run_pending() = 0;
  // Runs what is pending or comes until `deadline`; returns once something ran.
  virtual void wait_pending(std::chrono::steady_clock::time_point deadline) = 0;
};

}  // namespace otagate::coap

// The bytes of a layer, pulled: libarchive asks for them, libcurl brings them on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "oci/manifest.hpp"
#include "oci/registry.hpp"
#include "oci/sha256.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::oci {

// Used by the thread that made it. At most two pieces of what curl hands on are held.
class BlobStream {
 public:
  // Begins to fetch. `registry` and `call` are borrowed; `layer.digest` is a valid one.
  BlobStream(Registry& registry, std::string repository, const Descriptor& layer, sdk::Call& call);
  // Ends the transfer, if it still runs, and waits for it: a tenth of a second.
  ~BlobStream();
  BlobStream(const BlobStream&) = delete;
  BlobStream& operator=(const BlobStream&) = delete;

  // The next bytes, valid until the next call; empty: the end, and what came was the layer: its size and
  // digest have been checked. Throws sdk::Failure: that of the transfer, or OTAGATE_CANCELLED.
  std::string_view next();
  // Reads what is left, so that the digest is checked.
  void drain();

 private:
  void run();
  bool offer(std::string_view bytes);

  Registry& registry_;
  const std::string repository_;
  const Descriptor layer_;
  sdk::Call& call_;
  Sha256 hash_;
  std::uint64_t got_ = 0;
  std::string current_;  // what next() gave last
  bool ended_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  // The following under mutex_.
  std::string ready_;
  bool done_ = false;
  std::exception_ptr failure_;

  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace otagate::oci

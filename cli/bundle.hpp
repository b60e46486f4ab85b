// A bundle: firmware for a site without uplink, as one tar file.
//
//   manifest.json            {"format": "otagate-bundle/1", "items": [...]}, with every digest; always first
//   manifest.json.minisig    its signature, where there is one
//   blobs/sha256/<hex>       the bytes, each once, in the order of their digests
//
// The same firmware makes the same file, byte for byte: no times, no owners.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "core/digest.hpp"
#include "core/error.hpp"

struct archive;

namespace otagate::cli {

inline constexpr std::size_t kMaxManifest = 3 << 20;  // bytes: with its signature it fits into one request
inline constexpr std::size_t kMaxSignature = 8 << 10;

// What the manifest lists: the size of each blob.
using BundleBlobs = std::map<Digest, std::uint64_t>;

class BundleWriter {
 public:
  // Makes `path`, which must not be there. Nothing is left of it unless finish() succeeds.
  static Result<std::unique_ptr<BundleWriter>> create(const std::string& path);
  ~BundleWriter();

  Result<void> add_manifest(const std::string& manifest);
  // A blob in pieces; exactly `size` bytes.
  Result<void> begin_blob(const Digest& digest, std::uint64_t size);
  Result<void> write(std::span<const char> piece);
  Result<void> finish();

 private:
  struct Close {
    void operator()(archive* what) const;
  };
  explicit BundleWriter(std::string path);
  Result<void> begin(const std::string& name, std::uint64_t size);
  Result<void> failure(const std::string& what);

  const std::string path_;
  const std::string part_;  // its name until it is whole
  std::unique_ptr<archive, Close> archive_;
  int fd_ = -1;
};

// Reads a bundle from its beginning. Whatever is not as described above is refused, with its name: files
// that the manifest does not list, paths that lead elsewhere, links, other sizes.
class BundleReader {
 public:
  static Result<std::unique_ptr<BundleReader>> open(const std::string& path);

  const std::string& manifest() const { return manifest_; }
  const std::string& signature() const { return signature_; }  // empty: there is none inside

  // Sets what the manifest lists, before the first next().
  void expect(BundleBlobs blobs) { expected_ = std::move(blobs); }
  struct Blob {
    Digest digest;
    std::uint64_t size = 0;
  };
  // The next blob, nullopt after the last; an error also where one is missing at the end.
  Result<std::optional<Blob>> next();
  // The next bytes of that blob: all that `into` takes, or an error.
  Result<void> read(std::span<char> into);

 private:
  struct Close {
    void operator()(archive* what) const;
  };
  explicit BundleReader(std::string path) : path_(std::move(path)) {}
  Result<void> read_head();
  Result<std::string> read_small(std::uint64_t size, std::size_t most, const char* name);
  // The next entry into entry_name_ and entry_size_; false at the end.
  Result<bool> advance();
  Error broken(const std::string& what) const;

  const std::string path_;
  std::unique_ptr<archive, Close> archive_;
  std::string manifest_, signature_;
  BundleBlobs expected_;
  std::set<Digest> seen_;
  bool pending_ = false;  // an entry that was read ahead
  bool ended_ = false;
  std::string entry_name_;
  std::uint64_t entry_size_ = 0;
};

// What a manifest lists, as far as reading its bundle needs it; the daemon looks at the rest.
Result<BundleBlobs> blobs_of_manifest(const std::string& manifest);

}  // namespace otagate::cli

#include "common/http_client/trust_store.hpp"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

namespace otagate::common {
namespace {

constexpr const char* kSystemFolder = "/etc/ssl/certs";

struct Entry {
  std::int64_t mtime_ns = 0;
  std::int64_t size = 0;
  std::shared_ptr<X509_STORE> store;
};

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return reason ? reason : "no certificate in it";
}

// c_rehash names certificates <hash>.<n>: without such names a folder is of no use to OpenSSL.
bool has_hashed_names(const char* folder) {
  DIR* dir = opendir(folder);
  if (!dir) return false;
  bool found = false;
  while (const dirent* entry = readdir(dir)) {
    const std::size_t length = std::strlen(entry->d_name);
    if (length == 10 && std::strcmp(entry->d_name + 8, ".0") == 0) {
      found = true;
      break;
    }
  }
  closedir(dir);
  return found;
}

Outcome<std::shared_ptr<X509_STORE>> load(const std::string& ca_file) {
  const std::shared_ptr<X509_STORE> store(X509_STORE_new(), X509_STORE_free);
  if (!store) return fail(OTAGATE_TRANSIENT, "out of memory for the certificates");
  // As libcurl sets up its own: prefer trusted certificates, and let an intermediate be an anchor.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  ERR_clear_error();
  if (!ca_file.empty()) {
    if (X509_STORE_load_file(store.get(), ca_file.c_str()) != 1) {
      return fail(OTAGATE_INVALID, "the certificates in '" + ca_file +
                                       "' cannot be read: " + openssl_reason() + "; it must be a PEM file");
    }
    return store;
  }
  const int loaded = has_hashed_names(kSystemFolder) ? X509_STORE_load_path(store.get(), kSystemFolder)
                                                     : X509_STORE_set_default_paths(store.get());
  if (loaded != 1) {
    return fail(OTAGATE_PERMANENT, "the system's certificates cannot be loaded: " + openssl_reason() +
                                       "; install ca-certificates");
  }
  return store;
}

}  // namespace

Outcome<std::shared_ptr<X509_STORE>> trust_store(const std::string& ca_file) {
  static std::mutex mutex;
  static std::map<std::string, Entry> stores;

  Entry entry;
  if (!ca_file.empty()) {
    struct stat info = {};
    if (stat(ca_file.c_str(), &info) != 0) {
      return fail(OTAGATE_INVALID, "the certificates in '" + ca_file +
                                       "' cannot be read: " + std::generic_category().message(errno));
    }
    entry.mtime_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    entry.size = info.st_size;
  }
  const std::scoped_lock lock(mutex);
  const auto found = stores.find(ca_file);
  if (found != stores.end() && found->second.mtime_ns == entry.mtime_ns && found->second.size == entry.size) {
    return found->second.store;
  }
  Outcome<std::shared_ptr<X509_STORE>> store = load(ca_file);
  if (!store) return store;
  entry.store = *store;
  stores[ca_file] = entry;
  return store;
}

}  // namespace otagate::common

// A folder on this machine as a store.
#pragma once

#include <chrono>
#include <mutex>
#include <set>
#include <string>

#include "directory/digest_cache.hpp"
#include "directory/files.hpp"
#include "directory/watcher.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::directory {

// Keys are paths relative to the folder. What is still being written is not listed: the watcher asks
// for another listing when it has come to rest.
class DirectoryStore : public sdk::Store {
 public:
  explicit DirectoryStore(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;
  sdk::Object publish(const sdk::PublishRequest& request, sdk::Call& call) override;

 private:
  bool at_rest(const File& file);
  std::string digest(int root, const File& file, sdk::Call& call);
  void complain(const std::string& folder, const std::string& why);

  sdk::StoreHost& host_;
  const std::string path_;
  const std::chrono::milliseconds settle_;
  const bool hash_;
  const std::uint64_t hash_max_;
  const bool publish_;
  const NameFilter filter_;
  DigestCache digests_;
  std::mutex mutex_;
  std::set<std::string> complained_;  // under mutex_: folders, so that the log says it once
  Watcher watcher_;                   // last: its thread uses what is above
};

}  // namespace otagate::directory

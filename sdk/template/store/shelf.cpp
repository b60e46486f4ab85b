// A store: the files of one folder. Copy this folder, rename it, and replace list() and fetch().
#include <filesystem>
#include <fstream>
#include <otagate/cpp/store.hpp>
#include <set>

namespace fs = std::filesystem;
namespace sdk = otagate::sdk;

class Shelf : public sdk::Store {
 public:
  explicit Shelf(sdk::StoreHost& host) : folder_(host.option("path").string()) {
    if (!fs::is_directory(folder_)) throw sdk::Failure(OTAGATE_INVALID, "path: no such folder");
  }

  sdk::Caps caps() override { return {OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_LOCAL}; }

  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override {
    std::set<std::string> keys;
    for (const fs::directory_entry& file : fs::directory_iterator(folder_))
      if (file.is_regular_file()) keys.insert(file.path().filename());
    std::uint32_t room = request.limit;
    for (auto key = keys.upper_bound(std::string(request.cursor)); key != keys.end(); ++key) {
      if (room-- == 0) return sink.next(*std::prev(key));
      if (!sink.object({.key = *key, .change_token = token(*key), .size = fs::file_size(folder_ / *key)}))
        return;
    }
  }

  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override {
    const std::string key(request.key);
    std::ifstream file(folder_ / key, std::ios::binary);
    std::error_code none;
    if (key.find_first_of(std::string("/\0", 2)) != key.npos || !fs::is_regular_file(folder_ / key, none))
      throw sdk::Failure(OTAGATE_NOT_FOUND, key + ": no such file");
    const std::string before = token(key);
    sink.begin(fs::file_size(folder_ / key), before);
    file.seekg(static_cast<std::streamoff>(request.offset));
    char buffer[65536];
    for (std::uint64_t left = request.length ? request.length : UINT64_MAX; left > 0 && file;) {
      file.read(buffer, static_cast<std::streamsize>(std::min<std::uint64_t>(left, sizeof buffer)));
      const auto got = static_cast<std::size_t>(file.gcount());
      if (token(key) != (request.change_token.empty() ? before : request.change_token))
        throw sdk::Failure(OTAGATE_CHANGED, key + " is another file by now");
      if (!sink.write(buffer, got)) return;
      left -= got;
    }
  }

 private:
  std::string token(const std::string& key) const {
    return std::to_string(fs::last_write_time(folder_ / key).time_since_epoch().count());
  }
  fs::path folder_;
};

OTAGATE_PLUGIN(Shelf, .id = "shelf", .version = "1.0.0", .summary = "the files of one folder",
               .options_schema = R"({"type": "object", "required": ["path"], "additionalProperties": false,
               "properties": {"path": {"type": "string", "description": "the folder"}}})")

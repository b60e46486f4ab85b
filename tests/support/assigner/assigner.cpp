// A store that assigns updates, steered by the files of one folder, for the tests of what hangs on
// assignments:
//
//   objects/KEY        what can be fetched; nothing is listed
//   wishes/ID.assign   an assignment to a watched device, said when it is new or has changed; lines
//   KEY=VALUE:
//                      device, mode, window, not_before_ms, needs_confirm, and for each part
//                      part=COMPONENT|NAME|VERSION|OBJECT|SHA256|LOCATOR,LOCATOR
//   wishes/ID.cancel   takes it back
//   away               while it is there, calls fail as if the uplink were gone
//   feedback.log, watch.log, fetch.log   what the gateway said, one line each, durable before it is answered
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <otagate/cpp/store.hpp>
#include <set>
#include <sstream>
#include <thread>

namespace fs = std::filesystem;
namespace sdk = otagate::sdk;

namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

}  // namespace

class Assigner : public sdk::Store {
 public:
  explicit Assigner(sdk::StoreHost& host) : host_(host), folder_(host.option("path").string()) {
    if (!fs::is_directory(folder_ / "wishes"))
      throw sdk::Failure(OTAGATE_INVALID, "path: no folder with a folder \"wishes\"");
    thread_ = std::thread([this] { run(); });
  }
  ~Assigner() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Assigner(const Assigner&) = delete;
  Assigner& operator=(const Assigner&) = delete;

  sdk::Caps caps() override { return {OTAGATE_STORE_RANGES | OTAGATE_STORE_ASSIGNMENTS}; }

  void list(const sdk::ListRequest&, sdk::ListSink&) override { check_uplink(); }

  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override {
    check_uplink();
    const std::string place(request.locator.empty() ? request.key : request.locator);
    note("fetch.log", place + " " + std::to_string(request.offset) + " " + std::to_string(request.length));
    std::ifstream file(folder_ / "objects" / fs::path(place).filename(), std::ios::binary);
    if (!file) throw sdk::Failure(OTAGATE_NOT_FOUND, place + ": no such object");
    const std::string all((std::istreambuf_iterator<char>(file)), {});
    sink.begin(all.size());
    const std::size_t from = std::min<std::size_t>(request.offset, all.size());
    const std::size_t most = all.size() - from;
    sink.write(all.data() + from, request.length == 0 ? most : std::min<std::size_t>(request.length, most));
  }

  void watch(std::string_view device, const sdk::Pairs& attributes, sdk::Call&) override {
    check_uplink();
    std::string line = "watch " + std::string(device);
    for (const auto& [key, value] : attributes) line += " " + key + "=" + value;
    note("watch.log", line);
    const std::scoped_lock lock(mutex_);
    watched_.insert(std::string(device));
  }

  void unwatch(std::string_view device, sdk::Call&) override {
    check_uplink();
    note("watch.log", "unwatch " + std::string(device));
    const std::scoped_lock lock(mutex_);
    watched_.erase(std::string(device));
  }

  void feedback(const sdk::Feedback& said, sdk::Call&) override {
    static constexpr const char* kKinds[] = {"progress",  "downloaded",     "success",   "failure",
                                             "cancelled", "cancel_refused", "confirmed", "denied"};
    check_uplink();
    note("feedback.log", std::string(said.external_id) + "\t" + kKinds[said.kind % 8] + "\t" +
                             std::string(said.device) + "\t" + std::to_string(said.done) + "\t" +
                             std::to_string(said.total) + "\t" + std::to_string(said.code) + "\t" +
                             std::string(said.message));
  }

 private:
  void check_uplink() const {
    if (fs::exists(folder_ / "away")) throw sdk::Failure(OTAGATE_TRANSIENT, "the uplink is gone");
  }

  void note(const char* file, const std::string& line) {
    const std::string text = line + "\n";
    const int fd = open((folder_ / file).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const bool good = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                      fdatasync(fd) == 0;
    if (fd >= 0) close(fd);
    if (!good) throw sdk::Failure(OTAGATE_INTERNAL, std::string(file) + " cannot be written");
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      look();
      lock.lock();
      wake_.wait_for(lock, std::chrono::milliseconds(20), [this] { return stopping_; });
    }
  }

  void look() {
    std::error_code gone;
    if (fs::exists(folder_ / "away", gone)) return;
    for (const fs::directory_entry& file : fs::directory_iterator(folder_ / "wishes", gone)) {
      const fs::path path = file.path();
      const auto time = fs::last_write_time(path, gone);
      if (gone || said_[path.filename()] == time) continue;
      const bool cancel = path.extension() == ".cancel";
      if (!cancel && path.extension() != ".assign") continue;
      if (cancel) {
        host_.unassign(path.stem().string());
      } else if (!assign(path)) {
        continue;
      }
      said_[path.filename()] = time;
    }
  }

  bool assign(const fs::path& path) {
    sdk::Assignment wish;
    wish.external_id = path.stem().string();
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      const std::size_t at = line.find('=');
      if (at == line.npos) continue;
      const std::string key = line.substr(0, at);
      const std::string value = line.substr(at + 1);
      if (key == "device") wish.device = value;
      if (key == "mode") wish.mode = static_cast<std::uint32_t>(std::stoul(value));
      if (key == "window") wish.window = static_cast<std::uint32_t>(std::stoul(value));
      if (key == "not_before_ms") wish.not_before_ms = std::stoll(value);
      if (key == "needs_confirm") wish.needs_confirm = value == "1";
      if (key == "part") add_part(wish, split(value, '|'));
    }
    {
      const std::scoped_lock lock(mutex_);
      if (!watched_.contains(wish.device)) return false;
    }
    return host_.assign(wish);
  }

  void add_part(sdk::Assignment& wish, std::vector<std::string> words) const {
    words.resize(6);
    sdk::AssignmentPart part;
    part.component = words[0];
    part.name = words[1];
    part.version = words[2];
    part.object.key = words[3];
    part.object.change_token = "1";
    part.object.sha256 = words[4];
    part.object.locators = split(words[5], ',');
    for (const std::string& place :
         {words[3], part.object.locators.empty() ? "" : part.object.locators.back()}) {
      std::error_code none;
      const auto size = fs::file_size(folder_ / "objects" / fs::path(place).filename(), none);
      if (!none) part.object.size = size;
    }
    wish.parts.push_back(std::move(part));
  }

  sdk::StoreHost& host_;
  const fs::path folder_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;                        // under mutex_
  std::set<std::string> watched_;                // under mutex_
  std::map<fs::path, fs::file_time_type> said_;  // the thread's own
  std::thread thread_;
};

OTAGATE_PLUGIN(Assigner, .id = "assigner", .version = "1.0.0", .summary = "assigns updates, for tests",
               .options_schema = R"({"type": "object", "required": ["path"], "additionalProperties": false,
               "properties": {"path": {"type": "string", "description": "the folder"}}})")

// What the tests of the plugin host share: folders with plugins in them, and a gateway's side that keeps
// what it is told.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "plugin/registry.hpp"

namespace otagate::plugin::testing {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string name = (fs::temp_directory_path() / "otagate-plugin-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Copies a test plugin into a folder, with a manifest that is right but for what `replace` says.
inline void install(const fs::path& folder, const std::string& name,
                    const std::map<std::string, std::string>& replace = {},
                    const std::string& interface = "storage") {
  const fs::path so = folder / (name + ".so");
  fs::remove(so);  // a file that is loaded keeps its inode
  fs::copy_file(fs::path(OTAGATE_TEST_PLUGINS) / (name + ".so"), so, fs::copy_options::overwrite_existing);
  ::chmod(so.c_str(), 0644);
  std::map<std::string, std::string> fields = {{"manifest", "1"},
                                               {"id", "\"" + name + "\""},
                                               {"abi_major", "1"},
                                               {"abi_minor", "0"},
                                               {"interfaces", "[\"otagate." + interface + "/1\"]"},
                                               {"sha256", "\"" + Sha256::of(read_file(so)).hex() + "\""}};
  for (const auto& [key, value] : replace) fields[key] = value;
  std::string text;
  for (const auto& [key, value] : fields) text += key + " = " + value + "\n";
  write_file(folder / (name + ".plugin.toml"), text);
}

class Options : public OptionSource {
 public:
  Options(std::initializer_list<std::pair<const std::string, std::string>> strings) : strings_(strings) {}
  OptionValue lookup(std::string_view path) const override {
    OptionValue out;
    const auto set = [&](OptionValue::Kind kind, std::int64_t integer) {
      out.kind = kind;
      out.integer = integer;
    };
    if (path == "list") set(OptionValue::Kind::list, 2);
    if (path == "table") {
      set(OptionValue::Kind::table, 0);
      out.keys = {"key"};
    }
    if (const auto found = strings_.find(std::string(path)); found != strings_.end()) {
      out.kind = OptionValue::Kind::string;
      out.string = found->second;
    }
    return out;
  }

 private:
  const std::map<std::string, std::string> strings_;
};

struct Said {
  std::string instance;
  std::string kind;
  std::string message;
};

// Keeps events and changes of state; tests wait for them.
class Listener : public InstanceListener, public StorageListener {
 public:
  void event(std::string_view instance, Severity, std::string_view kind, std::string_view,
             std::string_view message) override {
    add({std::string(instance), std::string(kind), std::string(message)});
  }
  void state_changed(std::string_view instance, InstanceState state, std::string_view reason) override {
    add({std::string(instance), "state:" + std::string(to_string(state)), std::string(reason)});
  }
  std::int64_t now_ms(bool& synchronised) override {
    synchronised = true;
    return 1'700'000'000'000;
  }
  void changed(std::string_view instance, std::string_view key) override {
    add({std::string(instance), "changed", std::string(key)});
  }
  bool assigned(std::string_view instance, Assignment assignment) override {
    add({std::string(instance), "assigned", assignment.external_id});
    return true;
  }
  void unassigned(std::string_view instance, std::string_view id) override {
    add({std::string(instance), "unassigned", std::string(id)});
  }

  // The message of the first event of that kind; fails the test when it does not come.
  std::string wait(const std::string& kind, milliseconds timeout = milliseconds(10'000)) {
    std::unique_lock lock(mutex_);
    const Said* found = nullptr;
    changed_.wait_for(lock, timeout, [&] {
      for (const Said& said : all_)
        if (said.kind == kind) found = &said;
      return found != nullptr;
    });
    if (!found) {
      ADD_FAILURE() << "no event '" << kind << "'";
      return "";
    }
    return found->message;
  }
  std::size_t count(const std::string& kind) {
    std::lock_guard lock(mutex_);
    std::size_t out = 0;
    for (const Said& said : all_) out += said.kind == kind ? 1 : 0;
    return out;
  }

 private:
  void add(Said said) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(said));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Said> all_;
};

// A reply that a test waits for; a second one fails the test.
template <class T>
class Answer {
 public:
  Reply<T> reply() {
    return [state = state_](Result<T> result) {
      std::lock_guard lock(state->mutex);
      if (state->result) ADD_FAILURE() << "a second reply";
      state->result = std::move(result);
      state->changed.notify_all();
    };
  }
  Result<T> get(milliseconds timeout = milliseconds(10'000)) {
    std::unique_lock lock(state_->mutex);
    if (!state_->changed.wait_for(lock, timeout, [&] { return state_->result.has_value(); })) {
      ADD_FAILURE() << "no reply";
      return fail(Code::internal, "no reply");
    }
    return *state_->result;
  }
  bool here() {
    std::lock_guard lock(state_->mutex);
    return state_->result.has_value();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<T>> result;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline Registry::Settings settings(const fs::path& folder) {
  Registry::Settings out;
  out.folders = {folder};
  out.trust_own_user = true;
  out.grace = milliseconds(1000);
  return out;
}

// True once it is; polls, for states that nothing announces.
template <class Condition>
bool eventually(Condition condition, milliseconds timeout = milliseconds(10'000)) {
  for (const auto until = std::chrono::steady_clock::now() + timeout;
       std::chrono::steady_clock::now() < until;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return condition();
}

}  // namespace otagate::plugin::testing

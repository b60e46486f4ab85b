// Drives one store plugin as the gateway would: store_probe PLUGIN.so OPTIONS, where OPTIONS is a JSON
// object of strings, integers, booleans and lists of strings. Commands come as JSON lists on standard
// input, one a line; each is answered with one JSON object on standard output:
//   ["list", limit]                            all pages: {"objects": [...], "pages": n}
//   ["count", limit]                           the same without keeping them: {"count", "grown_kib"}
//   ["fetch", key, token, offset, length, locator]   {"sha256", "size", "total", "token"}
//   ["stat", key], ["presign", key, token, head, expiry_ms]
//   ["publish", file, sha256, key, metadata]
//   ["watch", device, attributes], ["unwatch", device]
//   ["feedback", device, external_id, kind, done, total, code, message]
//   ["assigned", seconds]     the next thing the store assigned or took back, "status" 9 when none came
//   ["health"]                {"health"}: what the store said of itself last
// "status" is 0 in every good answer; "message" says why in the others.
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "common/testing/fake_store_host.hpp"

namespace {

namespace json = boost::json;
using namespace otagate;
using testing::FakeStoreHost;

std::map<std::string, testing::OptionValue> read_options(const json::object& object) {
  std::map<std::string, testing::OptionValue> options;
  for (const auto& [key, value] : object) {
    if (value.is_string()) {
      options[key] = json::value_to<std::string>(value);
    } else if (value.is_bool()) {
      options[key] = value.as_bool();
    } else if (value.is_int64()) {
      options[key] = value.as_int64();
    } else if (!value.as_array().empty() && value.as_array().front().is_object()) {
      options[key] = json::value_to<std::vector<std::map<std::string, std::string>>>(value);
    } else {
      options[key] = json::value_to<std::vector<std::string>>(value);
    }
  }
  return options;
}

json::object to_json(const testing::Ended& ended) {
  json::object out{{"status", ended.status}, {"completions", ended.completions}};
  if (!ended.message.empty()) out["message"] = ended.message;
  if (ended.retry_after_ms) out["retry_after_ms"] = ended.retry_after_ms;
  return out;
}

json::object to_json(const sdk::Object& object) {
  json::object metadata;
  for (const auto& [key, value] : object.metadata) metadata[key] = value;
  return {{"key", object.key},   {"token", object.change_token},      {"sha256", object.sha256},
          {"size", object.size}, {"modified_ms", object.modified_ms}, {"metadata", metadata}};
}

json::object to_json(const testing::Listed& listed) {
  json::object out = to_json(static_cast<const testing::Ended&>(listed));
  json::array objects;
  for (const sdk::Object& object : listed.objects) objects.push_back(to_json(object));
  out["objects"] = std::move(objects);
  return out;
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", digest[i]);
    out += hex;
  }
  return out;
}

long resident_kib() {
  std::ifstream file("/proc/self/statm");
  long pages = 0;
  file >> pages >> pages;
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

json::object count(FakeStoreHost& host, std::uint32_t limit) {
  testing::Listed page = host.list("", limit);  // what the first page needs once is no growth
  const long before = resident_kib();
  long most = before;
  std::uint64_t objects = page.objects.size();
  while (page.status == OTAGATE_OK && !page.cursor.empty()) {
    page = host.list(page.cursor, limit);
    objects += page.objects.size();
    most = std::max(most, resident_kib());
  }
  json::object out = to_json(static_cast<const testing::Ended&>(page));
  out["count"] = objects;
  out["grown_kib"] = most - before;
  return out;
}

json::object fetch(FakeStoreHost& host, const json::array& command) {
  const testing::Fetched fetched =
      host.fetch(json::value_to<std::string>(command.at(1)), json::value_to<std::string>(command.at(2)),
                 command.at(3).to_number<std::uint64_t>(), command.at(4).to_number<std::uint64_t>(), {}, {},
                 json::value_to<std::string>(command.at(5)));
  json::object out = to_json(static_cast<const testing::Ended&>(fetched));
  out["sha256"] = sha256(fetched.bytes);
  out["size"] = fetched.bytes.size();
  if (fetched.total) out["total"] = *fetched.total;
  out["token"] = fetched.change_token;
  return out;
}

sdk::Pairs to_pairs(const json::value& object) {
  sdk::Pairs pairs;
  for (const auto& [key, value] : object.as_object()) {
    pairs.emplace_back(key, json::value_to<std::string>(value));
  }
  return pairs;
}

json::object to_json(const sdk::Assignment& wish) {
  json::array parts;
  for (const sdk::AssignmentPart& part : wish.parts) {
    json::object params;
    for (const auto& [key, value] : part.params) params[key] = value;
    json::array locators;
    for (const std::string& locator : part.object.locators) locators.emplace_back(locator);
    parts.push_back(json::object{{"component", part.component},
                                 {"name", part.name},
                                 {"version", part.version},
                                 {"params", params},
                                 {"object", to_json(part.object)},
                                 {"locators", locators}});
  }
  return {{"external_id", wish.external_id},
          {"device", wish.device},
          {"mode", wish.mode},
          {"window", wish.window},
          {"needs_confirm", wish.needs_confirm},
          {"parts", parts}};
}

json::object assigned(FakeStoreHost& host, const json::array& command) {
  const auto limit = std::chrono::seconds(command.at(1).to_number<std::int64_t>());
  const std::optional<testing::Assigned> next = host.assignments().next(limit);
  if (!next) return {{"status", OTAGATE_DEADLINE}};
  if (next->cancelled) return {{"status", OTAGATE_OK}, {"cancelled", next->wish.external_id}};
  return {{"status", OTAGATE_OK}, {"assignment", to_json(next->wish)}};
}

json::object feedback(FakeStoreHost& host, const json::array& command) {
  const std::string device = json::value_to<std::string>(command.at(1));
  const std::string external_id = json::value_to<std::string>(command.at(2));
  const std::string message = json::value_to<std::string>(command.at(7));
  sdk::Feedback said;
  said.device = device;
  said.external_id = external_id;
  said.kind = command.at(3).to_number<std::uint32_t>();
  said.done = command.at(4).to_number<std::uint64_t>();
  said.total = command.at(5).to_number<std::uint64_t>();
  said.code = command.at(6).to_number<std::int32_t>();
  said.message = message;
  return to_json(host.feedback(said));
}

json::object publish(FakeStoreHost& host, const json::array& command) {
  const int fd = open(command.at(1).as_string().c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  if (fd < 0 || fstat(fd, &info) != 0) return {{"status", OTAGATE_INVALID}, {"message", "no such file"}};
  const sdk::Pairs metadata = to_pairs(command.at(4));
  json::object out = to_json(host.publish(fd, static_cast<std::uint64_t>(info.st_size),
                                          json::value_to<std::string>(command.at(2)),
                                          json::value_to<std::string>(command.at(3)), metadata));
  close(fd);
  return out;
}

json::object answer(FakeStoreHost& host, const json::array& command) {
  const std::string what = json::value_to<std::string>(command.at(0));
  if (what == "list") return to_json(host.list_all(command.at(1).to_number<std::uint32_t>()));
  if (what == "count") return count(host, command.at(1).to_number<std::uint32_t>());
  if (what == "fetch") return fetch(host, command);
  if (what == "stat") return to_json(host.stat(json::value_to<std::string>(command.at(1))));
  if (what == "publish") return publish(host, command);
  if (what == "presign") {
    const testing::Fetched made =
        host.presign(json::value_to<std::string>(command.at(1)), json::value_to<std::string>(command.at(2)),
                     command.at(3).as_bool(), command.at(4).to_number<std::uint64_t>());
    json::object out = to_json(static_cast<const testing::Ended&>(made));
    out["url"] = made.bytes;
    return out;
  }
  if (what == "watch")
    return to_json(host.watch(json::value_to<std::string>(command.at(1)), to_pairs(command.at(2))));
  if (what == "unwatch") return to_json(host.unwatch(json::value_to<std::string>(command.at(1))));
  if (what == "feedback") return feedback(host, command);
  if (what == "assigned") return assigned(host, command);
  if (what == "health") return {{"status", OTAGATE_OK}, {"health", host.health()}};
  return {{"status", OTAGATE_INVALID}, {"message", "no command '" + what + "'"}};
}

int run(const char* plugin, const char* options) {
  void* library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  const auto entry = reinterpret_cast<otagate_plugin_entry_fn>(dlsym(library, "otagate_plugin_entry"));
  FakeStoreHost host(read_options(json::parse(options).as_object()));
  const testing::Ended made = host.create(entry(OTAGATE_ABI_MAJOR, OTAGATE_ABI_MINOR));
  std::cout << json::serialize(to_json(made)) << std::endl;
  if (made.status != OTAGATE_OK) return 1;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << json::serialize(answer(host, json::parse(line).as_array())) << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: store_probe PLUGIN.so OPTIONS\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store_probe: %s\n", error.what());
    return 2;
  }
}

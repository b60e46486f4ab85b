// Firmware that does not come out of a store: imported from files, forgotten again, written into a store.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "blob_transfer.hpp"
#include "commands.hpp"
#include "firmware_spec.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

struct Import {
  std::vector<std::string> files;
  std::string name, version, type, kind, dependency;
  bool replace = false;
};

int import(const Context& context, const Import& options) {
  boost::json::array list;
  for (const std::string& path : options.files) {
    const auto file = digest_of_file(path);
    if (!file) return failed(file.error());
    if (auto sent = send_file(context.client(), path, *file); !sent) return failed(sent.error());
    boost::json::object item{{"sha256", file->digest.hex()},
                             {"size", file->size},
                             {"file", std::filesystem::path(path).filename().string()}};
    const auto add = [&](const char* key, const std::string& value) {
      if (!value.empty()) item[key] = value;
    };
    add("name", options.name);
    add("version", options.version);
    add("type", options.type);
    add("kind", options.kind);
    add("dependency", options.dependency);
    list.push_back(std::move(item));
  }
  const std::size_t count = list.size();
  const boost::json::object body{{"items", std::move(list)}, {"replace", options.replace}};
  const auto done = context.client().call("POST", "/api/v1/firmware", boost::json::serialize(body));
  if (!done) return failed(done.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  } else {
    const std::int64_t changed = number(*done, "changed");
    std::printf("%zu imported, %lld of them new or changed; see otagate firmware list --store local\n", count,
                static_cast<long long>(changed));
  }
  return kOk;
}

int remove(const Context& context, const std::string& spec) {
  if (spec.find('/') == std::string::npos)
    return failed(Error(Code::invalid, "say which version: " + spec + "/VERSION"));
  const auto done = context.client().call("DELETE", firmware_path(spec, ""));
  if (!done) return failed(done.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  else
    std::printf("%s is forgotten\n", spec.c_str());
  return kOk;
}

int publish(const Context& context, const std::string& spec, const std::string& store,
            const std::string& key) {
  std::string path = firmware_path(spec, "/publish");
  path += (path.find('?') == std::string::npos ? "?store=" : "&store=") + encode(store);
  if (!key.empty()) path += "&key=" + encode(key);
  const auto made = context.client().call("POST", path);
  if (!made) return failed(made.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*made).c_str());
  else
    std::printf("%s is in %s as %s\n", spec.c_str(), text(*made, "store").c_str(),
                text(*made, "key").c_str());
  return kOk;
}

}  // namespace

void add_imports(CLI::App& firmware, Context& context) {
  auto options = std::make_shared<Import>();
  auto spec = std::make_shared<std::string>();
  auto store = std::make_shared<std::string>();
  auto key = std::make_shared<std::string>();
  CLI::App* command = firmware.add_subcommand("import", "Bring files of this machine into the store local");
  command->add_option("FILE", options->files, "Images; all of them or none")->required();
  command->add_option("--name", options->name, "Its name; taken from the image or the file's name otherwise");
  command->add_option("--version", options->version, "Its version, the same");
  command->add_option("--type", options->type, "The device type it is for");
  command->add_option("--kind", options->kind, "firmware, software or patch");
  command->add_option("--dependency", options->dependency, "Of a patch: the version that it applies to");
  command->add_flag("--replace", options->replace, "Also where other bytes have that name and version");
  command->callback(
      [&context, options] { context.run = [&context, options] { return import(context, *options); }; });
  command = firmware.add_subcommand("remove", "Forget what was imported; its blob may then be evicted");
  command->add_option("FIRMWARE", *spec, "NAME/VERSION[/TYPE]")->required();
  command->callback([&context, spec] { context.run = [&context, spec] { return remove(context, *spec); }; });
  command = firmware.add_subcommand("publish", "Write it into a store whose options have publish = true");
  command->add_option("FIRMWARE", *spec, kFirmwareSpec)->required();
  command->add_option("--store", *store, "Into which")->required();
  command->add_option("--key", *key, "The object's key; the store makes one otherwise");
  command->callback([&context, spec, store, key] {
    context.run = [&context, spec, store, key] { return publish(context, *spec, *store, *key); };
  });
}

}  // namespace otagate::cli

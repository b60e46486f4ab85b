// Bundles: firmware carried to a site without uplink.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <tuple>
#include <vector>

#include "blob_transfer.hpp"
#include "bundle.hpp"
#include "commands.hpp"
#include "firmware_spec.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

// One line per item, so that people can compare two of them.
std::string render_manifest(const std::vector<boost::json::object>& firmware) {
  std::string text = "{\"format\": \"otagate-bundle/1\", \"items\": [\n";
  for (std::size_t i = 0; i < firmware.size(); ++i)
    text += "  " + boost::json::serialize(firmware[i]) + (i + 1 < firmware.size() ? ",\n" : "\n");
  return text + "]}\n";
}

std::string raw(const boost::json::value& value, std::string_view key) {
  const boost::json::value& found = member(value, key);
  return found.is_string() ? std::string(std::string_view(found.as_string())) : std::string();
}

// What the manifest says of a firmware that is in the cache.
Result<boost::json::object> describe(const Client& client, const std::string& spec) {
  const auto found = find_firmware(client, spec);
  if (!found) return fail(found.error());
  // Fetched where it is not here yet; the answer says what its bytes are for certain.
  const auto fetched = client.call("POST", firmware_path(spec, "/fetch"));
  if (!fetched) return fail(Error(fetched.error()).with_context(spec));
  boost::json::object item;
  for (const char* key : {"name", "version", "type", "kind", "dependency"}) {
    if (const std::string value = raw(*found, key); !value.empty()) item[key] = value;
  }
  item["sha256"] = raw(*fetched, "sha256");
  item["size"] = number(*fetched, "size");
  return item;
}

int export_bundle(const Context& context, const std::string& path, const std::vector<std::string>& specs) {
  const Client client = context.client();
  std::vector<boost::json::object> firmware;
  for (const std::string& spec : specs) {
    auto item = describe(client, spec);
    if (!item) return failed(item.error());
    firmware.push_back(std::move(*item));
  }
  // The order of the command line does not matter.
  const auto identity = [](const boost::json::object& item) {
    return std::tuple(raw(item, "name"), raw(item, "version"), raw(item, "type"));
  };
  std::sort(firmware.begin(), firmware.end(),
            [&](const auto& a, const auto& b) { return identity(a) < identity(b); });
  firmware.erase(std::unique(firmware.begin(), firmware.end()), firmware.end());

  auto writer = BundleWriter::create(path);
  if (!writer) return failed(writer.error());
  const std::string manifest = render_manifest(firmware);
  const auto blobs = blobs_of_manifest(manifest);
  if (!blobs) return failed(blobs.error());
  if (auto added = (*writer)->add_manifest(manifest); !added) return failed(added.error());
  std::uint64_t total = 0;
  for (const auto& [digest, size] : *blobs) {
    if (auto begun = (*writer)->begin_blob(digest, size); !begun) return failed(begun.error());
    Sha256 hash;
    const auto copied = client.download("/api/v1/blobs/" + digest.hex() + "/content",
                                        [&](std::span<const char> piece) -> Result<void> {
                                          hash.update(std::string_view(piece.data(), piece.size()));
                                          return (*writer)->write(piece);
                                        });
    if (!copied) return failed(copied.error());
    if (hash.finish() != digest)
      return failed(Error(Code::rejected, "the daemon sent other bytes than those of " + digest.hex()));
    total += size;
  }
  if (auto finished = (*writer)->finish(); !finished) return failed(finished.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(
                            boost::json::object{{"file", path}, {"items", firmware.size()}, {"bytes", total}})
                            .c_str());
  } else {
    std::printf("%s: %zu firmware, %s\n", path.c_str(), firmware.size(), format_bytes(total).c_str());
  }
  return kOk;
}

// Bytes that must be those of their name; counted off as they are read.
class CheckedBlob {
 public:
  CheckedBlob(BundleReader& reader, const BundleReader::Blob& blob) : reader_(reader), blob_(blob) {}

  Result<void> read(std::span<char> into) {
    if (auto got = reader_.read(into); !got) return got;
    hash_.update(std::string_view(into.data(), into.size()));
    read_ += into.size();
    if (read_ == blob_.size && hash_.finish() != blob_.digest)
      return fail(Code::rejected,
                  "the bundle's bytes of " + blob_.digest.hex() + " are not those of that SHA-256");
    return {};
  }

  // What is left, to nowhere.
  Result<void> skip() {
    std::vector<char> piece(256 << 10);
    while (read_ < blob_.size) {
      const auto next = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), blob_.size - read_));
      if (auto got = read(std::span(piece).first(next)); !got) return got;
    }
    return {};
  }

 private:
  BundleReader& reader_;
  const BundleReader::Blob blob_;
  Sha256 hash_;
  std::uint64_t read_ = 0;
};

// Every blob of the bundle in its order.
Result<void> for_each_blob(const std::string& path,
                           const std::function<Result<void>(const BundleReader::Blob&, CheckedBlob&)>& take,
                           std::string* manifest, std::string* signature) {
  auto reader = BundleReader::open(path);
  if (!reader) return fail(std::move(reader).error());
  // Read again from the beginning: what was checked is what is sent.
  if (!manifest->empty() && *manifest != (*reader)->manifest())
    return fail(Code::changed, path + ": has changed while it was read");
  *manifest = (*reader)->manifest();
  *signature = (*reader)->signature();
  auto blobs = blobs_of_manifest(*manifest);
  if (!blobs) return fail(std::move(blobs).error().with_context(path));
  (*reader)->expect(std::move(*blobs));
  for (;;) {
    const auto blob = (*reader)->next();
    if (!blob) return fail(blob.error());
    if (!*blob) return {};
    CheckedBlob checked(**reader, **blob);
    if (auto taken = take(**blob, checked); !taken) return taken;
  }
}

Result<std::string> read_signature(const std::string& path, bool must_be_there) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (must_be_there) return fail(Code::not_found, path + ": cannot be read");
    return std::string();
  }
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.size() > kMaxSignature) return fail(Code::invalid, path + ": is too long for a signature");
  return text;
}

struct ImportOptions {
  std::string path, signature;
  bool replace = false;
};

int import_bundle(const Context& context, const ImportOptions& options) {
  const Client client = context.client();
  std::string manifest, signature;
  // All of it is looked at before the daemon gets any of it.
  auto checked = for_each_blob(
      options.path, [](const BundleReader::Blob&, CheckedBlob& blob) { return blob.skip(); }, &manifest,
      &signature);
  if (!checked) return failed(checked.error());
  if (!options.signature.empty() || signature.empty()) {
    const bool named = !options.signature.empty();
    auto beside = read_signature(named ? options.signature : options.path + ".minisig", named);
    if (!beside) return failed(beside.error());
    signature = std::move(*beside);
  }
  std::string inside;
  auto sent = for_each_blob(
      options.path,
      [&](const BundleReader::Blob& blob, CheckedBlob& bytes) -> Result<void> {
        auto done = send_blob(
            client, blob.digest, blob.size, [&](std::span<char> into) { return bytes.read(into); },
            options.path);
        return done ? bytes.skip() : done;
      },
      &manifest, &inside);
  if (!sent) return failed(sent.error());
  boost::json::object body{{"manifest", manifest}, {"replace", options.replace}};
  if (!signature.empty()) body["signature"] = signature;
  const auto done = client.call("POST", "/api/v1/bundles", boost::json::serialize(body));
  if (!done) return failed(done.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  else
    std::printf("%s: imported, %lld firmware new or changed\n", options.path.c_str(),
                static_cast<long long>(number(*done, "changed")));
  return kOk;
}

int print_manifest(const std::string& path) {
  const auto reader = BundleReader::open(path);
  if (!reader) return failed(reader.error());
  const std::string& manifest = (*reader)->manifest();
  std::fwrite(manifest.data(), 1, manifest.size(), stdout);
  return kOk;
}

}  // namespace

void add_bundle(CLI::App& app, Context& context) {
  CLI::App* bundle = app.add_subcommand("bundle", "Firmware as one file, for sites without uplink");
  bundle->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto specs = std::make_shared<std::vector<std::string>>();
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command = bundle->add_subcommand("export", "Write firmware of the catalog into a new file");
  command->add_option("FILE", *path, "The bundle; must not be there")->required();
  command->add_option("FIRMWARE", *specs, kFirmwareSpec)->required();
  command->callback([&context, path, specs] {
    context.run = [&context, path, specs] { return export_bundle(context, *path, *specs); };
  });
  command = bundle->add_subcommand("import", "Take all of a bundle into the store local, or nothing");
  command->add_option("FILE", options->path, "The bundle")->required();
  command->add_option("--signature", options->signature,
                      "minisign's signature of its manifest; FILE.minisig or the one inside otherwise");
  command->add_flag("--replace", options->replace, "Also where other bytes have a name and version of it");
  command->callback([&context, options] {
    context.run = [&context, options] { return import_bundle(context, *options); };
  });
  command = bundle->add_subcommand("manifest", "Print the manifest of a bundle: what is to be signed");
  command->add_option("FILE", *path, "The bundle")->required();
  command->callback([&context, path] { context.run = [path] { return print_manifest(*path); }; });
}

}  // namespace otagate::cli

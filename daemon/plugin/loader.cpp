#include "plugin/loader.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <span>
#include <vector>

#include "plugin/abi.hpp"
#include "plugin/elf.hpp"

namespace otagate::plugin {
namespace {

constexpr const char* kEntry = "otagate_plugin_entry";
constexpr std::size_t kMaxText = 256;

Result<Digest> hash(int fd) {
  Sha256 sha;
  std::vector<std::byte> buffer(1 << 16);
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read", errno));
    if (got == 0) return sha.finish();
    sha.update(std::span(buffer.data(), static_cast<std::size_t>(got)));
    offset += got;
  }
}

Result<std::string> text(const otagate_str& from, const char* what, std::size_t most) {
  const auto view = borrowed(from, most);
  if (!view) return fail(Code::invalid, std::string("its ") + what + " is too long");
  return std::string(*view);
}

}  // namespace

Result<void> Loader::trusted(int fd, const std::string& path, bool folder) const {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error("fstat " + path, errno));
  const char* what = folder ? "folder" : "file";
  if (folder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))
    return fail(Code::denied, path + ": not a plain " + what);
  if (info.st_uid != 0 && !(trust_own_user_ && info.st_uid == ::geteuid()))
    return fail(Code::denied, path + ": owned by user " + std::to_string(info.st_uid) +
                                  ", whom plugins are not taken from; " + "run: chown root:root " + path);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::denied, path + ": others may write this " + what + "; run: chmod go-w " + path);
  return {};
}

Result<std::shared_ptr<const Library>> Loader::load(const std::filesystem::path& folder,
                                                    const Manifest& manifest) const {
  const std::string path = (folder / manifest.file).string();
  if (manifest.abi_major != OTAGATE_ABI_MAJOR)
    return fail(Code::unsupported, path + ": built for version " + std::to_string(manifest.abi_major) +
                                       " of the plugin ABI; this gateway has " +
                                       std::to_string(OTAGATE_ABI_MAJOR) +
                                       "; install the plugin's package of this release");

  const UniqueFd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail(errno_error("open " + folder.string(), errno));
  if (auto ok = trusted(dir.get(), folder.string(), true); !ok) return fail(ok.error());
  UniqueFd file(::openat(dir.get(), manifest.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return fail(errno_error("open " + path, errno));
  if (auto ok = trusted(file.get(), path, false); !ok) return fail(ok.error());

  const auto digest = hash(file.get());
  if (!digest) return fail(Error(digest.error()).with_context(path));
  if (*digest != manifest.sha256)
    return fail(Code::rejected, path + ": its SHA-256 is " + digest->hex() + ", its manifest says " +
                                    manifest.sha256.hex() +
                                    "; install both anew, or write the manifest again if it was stripped");

  const auto symbols = exported_symbols(file.get());
  if (!symbols) return fail(Error(symbols.error()).with_context(path));
  if (symbols->size() != 1 || symbols->front() != kEntry) {
    const auto other = std::find_if(symbols->begin(), symbols->end(),
                                    [](const std::string& name) { return name != kEntry; });
    return fail(Code::invalid, path + ": a plugin exports " + kEntry +
                                   " and nothing else; this one exports " + std::to_string(symbols->size()) +
                                   " symbols" +
                                   (other == symbols->end() ? std::string() : ", " + *other + " among them") +
                                   "; link it with the SDK's version script");
  }

  // The descriptor is never closed: the C library takes a name it has seen for the object it had then,
  // and the name is this number.
  const std::string name = "/proc/self/fd/" + std::to_string(file.get());
  try {
    void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char* why = ::dlerror();
      return fail(Code::invalid, path + ": " + (why ? why : "dlopen failed"));
    }
    static_cast<void>(file.release());
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): that is how dlsym() gives functions
    const auto entry = reinterpret_cast<otagate_plugin_entry_fn>(::dlsym(handle, kEntry));
    if (!entry) return fail(Code::invalid, path + ": it exports no function " + kEntry);
    const otagate_plugin* raw = entry(OTAGATE_ABI_MAJOR, OTAGATE_ABI_MINOR);
    if (!raw)
      return fail(Code::unsupported, path + ": refuses version " + std::to_string(OTAGATE_ABI_MAJOR) + "." +
                                         std::to_string(OTAGATE_ABI_MINOR) + " of the plugin ABI");

    auto library = std::make_shared<Library>();
    library->manifest_ = manifest;
    library->plugin_ = read_struct<otagate_plugin>(raw);
    const otagate_plugin& plugin = library->plugin_;
    if (!plugin.create || !plugin.destroy || !plugin.interface)
      return fail(Code::invalid, path + ": its description has no create(), destroy() or interface()");
    const auto id = text(plugin.id, "id", kMaxText);
    if (!id) return fail(Error(id.error()).with_context(path));
    if (*id != manifest.id)
      return fail(Code::invalid,
                  path + ": calls itself '" + *id + "', its manifest says '" + manifest.id + "'");
    auto version = text(plugin.version, "version", kMaxText);
    auto summary = text(plugin.summary, "summary", kMaxText * 4);
    auto schema = text(plugin.options_schema, "options schema", OTAGATE_MESSAGE_MAX);
    for (const auto* one : {&version, &summary, &schema})
      if (!*one) return fail(Error(one->error()).with_context(path));
    library->version_ = std::move(*version);
    library->summary_ = std::move(*summary);
    library->schema_ = std::move(*schema);

    for (const std::string& interface : manifest.interfaces) {
      const void* table = plugin.interface(interface.c_str());
      if (!table)
        return fail(Code::invalid, path + ": its manifest promises " + interface + ", but it has none");
      if (interface == OTAGATE_STORAGE_1) {
        library->storage_ = std::make_unique<otagate_storage>(read_struct<otagate_storage>(table));
        if (!library->storage_->list || !library->storage_->fetch)
          return fail(Code::invalid, path + ": a store must have list() and fetch()");
      } else if (interface == OTAGATE_TRANSPORT_1) {
        library->transport_ = std::make_unique<otagate_transport>(read_struct<otagate_transport>(table));
        if (!library->transport_->start || !library->transport_->stop)
          return fail(Code::invalid, path + ": a transport must have start() and stop()");
      }
    }
    return library;
  } catch (const std::exception& problem) {
    return fail(Code::internal, path + ": threw while it was loaded: " + problem.what());
  } catch (...) {
    return fail(Code::internal, path + ": threw while it was loaded");
  }
}

}  // namespace otagate::plugin

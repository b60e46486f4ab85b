#include "cache/disk_scan.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "cache/fill_map.hpp"

namespace otagate::cache {

namespace fs = std::filesystem;

namespace {

template <class Visit>
void each_entry(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    visit(at->path());
}

void scan_blob(const Layout& layout, const fs::path& path, DiskScan& scan) {
  const auto digest = Digest::parse(path.filename().string());
  if (!digest || layout.blob(*digest) != path) return scan.strays.push_back(path);
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) return;
  const auto identity = identify(fd->get());
  if (identity) scan.blobs[*digest] = *identity;
}

}  // namespace

DiskScan scan_disk(const Layout& layout) {
  DiskScan scan;
  each_entry(layout.blobs(), [&](const fs::path& folder) {
    each_entry(folder, [&](const fs::path& path) { scan_blob(layout, path, scan); });
  });
  std::set<std::string> ids;
  each_entry(layout.fills(), [&](const fs::path& path) {
    const std::string extension = path.extension().string();
    if (extension == ".part" || extension == ".map" || extension == ".sync")
      ids.insert(path.stem().string());
    else
      scan.strays.push_back(path);
  });
  for (const std::string& id : ids) {
    struct stat part {};
    const bool has_part = ::stat(layout.part(id).c_str(), &part) == 0;
    const auto header = FillMap::read_header(layout, id);
    if (has_part && header && header->key.id() == id) {
      scan.fills[id] = static_cast<std::uint64_t>(part.st_blocks) * 512;
      continue;
    }
    if (const auto sealed = FillMap::sealed(layout, id); !has_part && sealed) {
      scan.sealed[id] = *sealed;
      continue;
    }
    for (const fs::path& path : {layout.part(id), layout.map(id), layout.durable_map(id)})
      if (::access(path.c_str(), F_OK) == 0) scan.strays.push_back(path);
  }
  return scan;
}

void prune_quarantine(const Layout& layout, std::size_t most) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  each_entry(layout.quarantine(), [&](const fs::path& path) {
    std::error_code error;
    files.emplace_back(fs::last_write_time(path, error), path);
  });
  std::ranges::sort(files);
  for (std::size_t i = 0; i + most < files.size(); ++i) (void)remove_file(files[i].second);
}

}  // namespace otagate::cache

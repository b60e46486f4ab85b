#include "oci/tar_member.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "otagate/cpp/status.hpp"

namespace otagate::oci {
namespace {

// An archive as build tools write them; `filter` is one of archive_write_add_filter_*.
std::string packed(const std::map<std::string, std::string>& files, int (*filter)(archive*)) {
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  filter(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  for (const auto& [path, data] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(data.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, data.data(), data.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

TarReader::Pull pieces(std::string_view& bytes, std::size_t size) {
  return [&bytes, size] {
    const std::string_view out = bytes.substr(0, size);
    bytes.remove_prefix(out.size());
    return out;
  };
}

std::map<std::string, std::string> unpacked(std::string_view bytes, std::size_t piece) {
  std::map<std::string, std::string> out;
  TarReader tar(pieces(bytes, piece));
  while (const auto member = tar.next()) {
    std::string& data = out[member->path];
    for (std::string_view part = tar.read(); !part.empty(); part = tar.read()) data += part;
    EXPECT_EQ(data.size(), member->size);
  }
  return out;
}

std::uint32_t status_of(std::string_view bytes) {
  try {
    unpacked(bytes, 100);
  } catch (const sdk::Failure& failure) {
    return failure.status;
  }
  return OTAGATE_OK;
}

TEST(TarReader, ReadsWhatLayersArePackedIn) {
  const std::map<std::string, std::string> files = {
      {"./firmware", std::string(100'000, 'x')}, {"/etc/hosts", "h"}, {"empty", ""}};
  const std::map<std::string, std::string> expected = {
      {"firmware", std::string(100'000, 'x')}, {"etc/hosts", "h"}, {"empty", ""}};
  for (const auto filter :
       {archive_write_add_filter_none, archive_write_add_filter_gzip, archive_write_add_filter_zstd}) {
    const std::string bytes = packed(files, filter);
    EXPECT_EQ(unpacked(bytes, 7), expected);
    EXPECT_EQ(unpacked(bytes, 1 << 20), expected);
  }
}

TEST(TarReader, SkipsWhatIsNotRead) {
  std::string_view bytes;
  const std::string all =
      packed({{"a", std::string(300'000, 'a')}, {"b", "bb"}}, archive_write_add_filter_gzip);
  bytes = all;
  TarReader tar(pieces(bytes, 1000));
  EXPECT_EQ(tar.next()->path, "a");
  EXPECT_EQ(tar.next()->path, "b");
  EXPECT_EQ(tar.read(), "bb");
  EXPECT_FALSE(tar.next());
}

TEST(TarReader, RefusesWhatIsNoArchive) {
  const std::string whole = packed({{"a", std::string(50'000, 'a')}}, archive_write_add_filter_none);
  EXPECT_EQ(status_of("no archive at all, just text that goes on for longer than one block of 512 bytes" +
                      std::string(1000, 'x')),
            OTAGATE_PERMANENT);
  EXPECT_EQ(status_of(std::string_view(whole).substr(0, 20'000)), OTAGATE_PERMANENT);
  EXPECT_EQ(status_of(packed({{"a", "a"}}, archive_write_add_filter_bzip2)), OTAGATE_PERMANENT);
}

TEST(TarReader, PassesOnWhatTheSourceThrows) {
  const auto failing = []() -> std::string_view { throw sdk::Failure(OTAGATE_CANCELLED, "enough"); };
  try {
    TarReader tar(failing);
    tar.next();
    FAIL();
  } catch (const sdk::Failure& failure) {
    EXPECT_EQ(failure.status, OTAGATE_CANCELLED);
  }
}

}  // namespace
}  // namespace otagate::oci

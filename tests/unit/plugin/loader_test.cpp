#include "plugin/loader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "otagate/plugin.h"
#include "plugin/elf.hpp"
#include "support.hpp"

namespace otagate::plugin {
namespace {

using testing::install;
using testing::TempDir;
namespace fs = std::filesystem;

Result<std::shared_ptr<const Library>> load(const fs::path& folder, const std::string& name,
                                            bool trust = true) {
  auto manifest = read_manifest(folder / (name + ".plugin.toml"));
  if (!manifest) return fail(manifest.error());
  return Loader(trust).load(folder, *manifest);
}

void expect_refused(const Result<std::shared_ptr<const Library>>& loaded, Code code, const std::string& why) {
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), code);
  EXPECT_NE(loaded.error().message().find(why), std::string::npos) << loaded.error().message();
}

TEST(Loader, LoadsWhatIsRight) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  const auto loaded = load(folder.path(), "misbehave");
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ((*loaded)->version(), "0.1.0");
  EXPECT_EQ((*loaded)->options_schema(), R"({"type": "object"})");
  EXPECT_TRUE((*loaded)->blocking());
  EXPECT_NE((*loaded)->storage(), nullptr);
  EXPECT_EQ((*loaded)->transport(), nullptr);
}

TEST(Loader, LoadsTwoPluginsOneAfterTheOther) {
  // The C library must not take the second for the first because they came by the same descriptor.
  const TempDir folder;
  install(folder.path(), "misbehave");
  install(folder.path(), "misbehave-async");
  const auto one = load(folder.path(), "misbehave");
  const auto two = load(folder.path(), "misbehave-async");
  ASSERT_TRUE(one && two);
  EXPECT_TRUE((*one)->blocking());
  EXPECT_FALSE((*two)->blocking());
}

TEST(Loader, RefusesAnotherHash) {
  const TempDir folder;
  install(folder.path(), "misbehave", {{"sha256", "\"" + std::string(64, '0') + "\""}});
  expect_refused(load(folder.path(), "misbehave"), Code::rejected, "its manifest says 0000");
}

TEST(Loader, RefusesAFlippedByteBeforeAnyOfItsCodeRuns) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  std::string bytes = testing::read_file(folder.path() / "misbehave.so");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  testing::write_file(folder.path() / "misbehave.so", bytes);
  expect_refused(load(folder.path(), "misbehave"), Code::rejected, "SHA-256");
}

TEST(Loader, RefusesWhatOthersMayWrite) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  ::chmod((folder.path() / "misbehave.so").c_str(), 0666);
  expect_refused(load(folder.path(), "misbehave"), Code::denied, "chmod go-w");
  ::chmod((folder.path() / "misbehave.so").c_str(), 0644);
  ::chmod(folder.path().c_str(), 0777);
  expect_refused(load(folder.path(), "misbehave"), Code::denied, "others may write this folder");
  ::chmod(folder.path().c_str(), 0755);
  EXPECT_TRUE(load(folder.path(), "misbehave"));
}

TEST(Loader, RefusesAnotherOwner) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((folder.path() / "misbehave.so").c_str(), 12345, 12345), 0);
    expect_refused(load(folder.path(), "misbehave"), Code::denied, "owned by user 12345");
  } else {
    expect_refused(load(folder.path(), "misbehave", false), Code::denied, "owned by user");
  }
}

TEST(Loader, RefusesAnotherMajorFromTheManifestAlone) {
  const TempDir folder;
  install(folder.path(), "misbehave", {{"abi_major", "2"}});
  fs::remove(folder.path() / "misbehave.so");  // it is not even looked at
  expect_refused(load(folder.path(), "misbehave"), Code::unsupported, "version 2 of the plugin ABI");
}

TEST(Loader, SaysThatThePluginRefuses) {
  const TempDir folder;
  install(folder.path(), "refuses");
  // As it was asked: with the version of this host.
  const std::string asked = std::to_string(OTAGATE_ABI_MAJOR) + "." + std::to_string(OTAGATE_ABI_MINOR);
  expect_refused(load(folder.path(), "refuses"), Code::unsupported, "refuses version " + asked);
}

TEST(Loader, RefusesMoreThanOneExportedSymbol) {
  const TempDir folder;
  install(folder.path(), "leaky");
  expect_refused(load(folder.path(), "leaky"), Code::invalid,
                 "exports otagate_plugin_entry and nothing else");
}

TEST(Loader, RefusesAnotherIdAndMissingInterfaces) {
  const TempDir folder;
  install(folder.path(), "misbehave", {{"id", "\"other\""}, {"file", "\"misbehave.so\""}});
  expect_refused(load(folder.path(), "misbehave"), Code::invalid, "calls itself 'misbehave'");
  install(folder.path(), "misbehave", {}, "transport");
  expect_refused(load(folder.path(), "misbehave"), Code::invalid, "promises otagate.transport/1");
}

TEST(Loader, RefusesWhatIsNoSharedObject) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  for (const std::string& content : {std::string(), std::string("#!/bin/sh\n"),
                                     std::string("\x7f"
                                                 "ELF"),
                                     testing::read_file("/proc/self/exe").substr(0, 5000)}) {
    testing::write_file(folder.path() / "misbehave.so", content);
    testing::write_file(folder.path() / "misbehave.plugin.toml",
                        "manifest = 1\nid = \"misbehave\"\nabi_major = 1\nabi_minor = 0\ninterfaces = "
                        "[\"otagate.storage/1\"]\nsha256 = \"" +
                            Sha256::of(content).hex() + "\"\n");
    const auto loaded = load(folder.path(), "misbehave");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), Code::invalid) << loaded.error().message();
  }
  fs::remove(folder.path() / "misbehave.so");
  fs::create_directory(folder.path() / "misbehave.so");
  EXPECT_EQ(load(folder.path(), "misbehave").error().code(), Code::denied);
  fs::remove(folder.path() / "misbehave.so");
  EXPECT_EQ(load(folder.path(), "misbehave").error().code(), Code::not_found);
}

TEST(Elf, ReadsMutatedFilesWithoutHarm) {
  // Every header field is a number somebody may have written there.
  const std::string good = testing::read_file(fs::path(OTAGATE_TEST_PLUGINS) / "misbehave.so");
  const TempDir folder;
  const fs::path path = folder.path() / "mutated.so";
  const std::size_t headers = std::size_t{good.size() - 2048};
  for (unsigned round = 0; round < 400; ++round) {
    std::string bytes = good;
    const std::size_t at = round < 64 ? round : headers + (round * 131) % 2048;
    bytes[at] = static_cast<char>(round * 37 + 0x80);
    testing::write_file(path, bytes);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto symbols = exported_symbols(fd.get());
    if (!symbols) {
      EXPECT_FALSE(symbols.error().message().empty());
    }
  }
}

}  // namespace
}  // namespace otagate::plugin

#include "config/load.hpp"

#include <algorithm>
#include <fstream>
#include <system_error>
#include <utility>

#include "config/reader.hpp"
#include "config/sections.hpp"
#include "core/toml.hpp"

namespace otagate::config {

namespace {

constexpr std::size_t kMaxFiles = 256;

bool is_instance_list(std::string_view key) {
  return key == "store" || key == "transport" || key == "credential" || key == "webhook";
}

// Puts `from` over `into`: tables merge, the instance lists of the top level append, all else is replaced.
void merge(Value& into, Value from, bool top) {
  for (Member& member : *from.as_table()) {
    Value* old = nullptr;
    for (Member& present : *into.as_table())
      if (present.key == member.key) old = &present.value;
    if (old && old->is_table() && member.value.is_table()) {
      merge(*old, std::move(member.value), false);
    } else if (old && top && is_instance_list(member.key) && old->is_array() && member.value.is_array()) {
      for (Value& item : *member.value.as_array()) old->as_array()->push_back(std::move(item));
    } else {
      into.set(member.key, std::move(member.value));
    }
  }
}

LoadResult check(const Value& root, const LoadOptions& options, Problems problems,
                 std::vector<std::filesystem::path> files) {
  Config config;
  config.files = std::move(files);
  ReadContext context{problems, config.warnings, options.read_secrets};
  TableReader reader(&root, "", context);
  read_globals(reader, config, context);
  read_instances(reader, config, context);
  reader.done();
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return config;
}

// At most kMaxFile + 1 bytes: the parser says that it is too large.
Result<std::string> read_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) return fail(Code::not_found, "no such file");
  if (error) return fail(Code::denied, error.message());
  if (!std::filesystem::is_regular_file(status)) return fail(Code::invalid, "is not a regular file");
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Code::denied, "cannot be opened; check its mode and owner");
  std::string text(kMaxFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return fail(Code::transient, "cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// conf.d/*.toml beside `file`, by name. A folder that is not there is an empty one.
Result<std::vector<std::filesystem::path>> drop_ins(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path() / "conf.d";
  std::vector<std::filesystem::path> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return found;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(".toml") && !name.starts_with('.')) found.push_back(entry->path());
    if (found.size() > kMaxFiles)
      return fail(Code::invalid, folder.string() + " has more than " + std::to_string(kMaxFiles) + " files");
  }
  if (error) return fail(Code::denied, folder.string() + ": " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

LoadResult load_text(const std::vector<Source>& sources, const LoadOptions& options) {
  Problems problems;
  Value root = Value::Table{};
  std::vector<std::filesystem::path> files;
  for (const Source& source : sources) {
    files.emplace_back(source.name);
    tl::expected<Value, Problem> parsed = parse_toml(source.text, source.name);
    if (parsed)
      merge(root, std::move(*parsed), true);
    else
      problems.push_back(std::move(parsed.error()));
  }
  // What a file that cannot be parsed would have said is not known: further problems could be untrue.
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return check(root, options, std::move(problems), std::move(files));
}

LoadResult load(const std::filesystem::path& file, const LoadOptions& options) {
  Problems problems;
  std::vector<std::filesystem::path> files{file};
  if (Result<std::vector<std::filesystem::path>> more = drop_ins(file))
    files.insert(files.end(), more->begin(), more->end());
  else
    problems.push_back({{file.string(), 0, 0}, "", more.error().message(), ""});
  std::vector<Source> sources;
  for (const std::filesystem::path& path : files) {
    Result<std::string> text = read_file(path);
    if (text)
      sources.push_back({path.string(), std::move(*text)});
    else
      problems.push_back({{path.string(), 0, 0},
                          "",
                          text.error().message(),
                          path == file ? "name the configuration with --config FILE" : ""});
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return load_text(sources, options);
}

}  // namespace otagate::config

#include "config/reader.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/units.hpp"

namespace otagate::config {

using std::chrono::milliseconds;

TableReader::TableReader(const Value* table, std::string path, ReadContext& context)
    : path_(std::move(path)), context_(context) {
  if (!table || table->is_null()) return;
  where_ = table->where();
  if (table->is_table())
    table_ = table;
  else
    context_.problems.push_back(
        {where_, path_, "is " + std::string(table->type_name()) + ", not a table", "write [" + path_ + "]"});
}

const Value* TableReader::raw(std::string_view key) {
  known_.emplace_back(key);
  return table_ ? table_->get(key) : nullptr;
}

std::string TableReader::key_path(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + '.' + std::string(key);
}

void TableReader::problem(std::string_view key, std::string message, std::string advice) {
  const Value* value = table_ ? table_->get(key) : nullptr;
  context_.problems.push_back(
      {value ? value->where() : where_, key_path(key), std::move(message), std::move(advice)});
}

void TableReader::problem_at(const Value& value, std::string_view key, std::string message,
                             std::string advice) {
  context_.problems.push_back({value.where(), key_path(key), std::move(message), std::move(advice)});
}

// The value when it fits, else a problem.
const Value* TableReader::want(std::string_view key, bool fits, const Value* value, std::string_view advice) {
  if (!value) return nullptr;
  if (fits) return value;
  problem(key, "is " + std::string(value->type_name()),
          "write " + std::string(key) + " = " + std::string(advice));
  return nullptr;
}

void TableReader::boolean(std::string_view key, bool& out) {
  const Value* value = raw(key);
  if (want(key, value && value->is_bool(), value, "true or false, without quotes")) out = *value->as_bool();
}

void TableReader::boolean(std::string_view key, std::optional<bool>& out) {
  const Value* value = raw(key);
  if (want(key, value && value->is_bool(), value, "true or false, without quotes")) out = *value->as_bool();
}

std::optional<std::int64_t> TableReader::integer_in(std::string_view key, std::int64_t min,
                                                    std::int64_t max) {
  const Value* value = raw(key);
  const std::string range = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  if (!want(key, value && value->is_int(), value, range)) return std::nullopt;
  const std::int64_t number = *value->as_int();
  if (number >= min && number <= max) return number;
  problem(key, std::to_string(number) + " is out of range", "write " + range);
  return std::nullopt;
}

void TableReader::text(std::string_view key, std::string& out, std::size_t max) {
  const Value* value = raw(key);
  if (!want(key, value && value->is_string(), value, "\"...\", a text in quotes")) return;
  const std::string& text = *value->as_string();
  if (text.size() > max)
    problem(key, "is longer than " + std::to_string(max) + " bytes", "shorten it");
  else if (text.find('\0') != std::string::npos)
    problem(key, "contains a NUL character", "remove it");
  else
    out = text;
}

void TableReader::absolute(const Value& value, std::string_view key, std::filesystem::path& out) {
  const std::string& text = *value.as_string();
  if (text.empty() || text.front() != '/' || text.size() > 4000 || text.find('\0') != std::string::npos)
    problem_at(value, key, "\"" + text.substr(0, 64) + "\" is not an absolute path",
               "write it from the root on, for example \"/var/lib/otagate\"");
  else
    out = std::filesystem::path(text).lexically_normal();
}

void TableReader::path(std::string_view key, std::filesystem::path& out) {
  const Value* value = raw(key);
  if (want(key, value && value->is_string(), value, "\"/...\", a path in quotes")) absolute(*value, key, out);
}

void TableReader::paths(std::string_view key, std::vector<std::filesystem::path>& out) {
  const Value* value = raw(key);
  if (!want(key, value && value->is_array(), value, "[\"/...\"], a list of paths")) return;
  std::vector<std::filesystem::path> paths;
  for (const Value& item : *value->as_array()) {
    if (!item.is_string()) {
      problem_at(item, key, "has " + std::string(item.type_name()) + " in it", "write only paths in quotes");
      continue;
    }
    std::filesystem::path path;
    absolute(item, key, path);
    if (!path.empty()) paths.push_back(std::move(path));
  }
  out = std::move(paths);
}

void TableReader::texts(std::string_view key, std::vector<std::string>& out, std::size_t max) {
  const Value* value = raw(key);
  if (!value) return;
  if (const std::string* single = value->as_string()) {
    out = {*single};
    return;
  }
  if (!want(key, value->is_array(), value, "[\"...\"], a list of texts")) return;
  std::vector<std::string> texts;
  for (const Value& item : *value->as_array()) {
    if (item.is_string())
      texts.push_back(*item.as_string());
    else
      problem_at(item, key, "has " + std::string(item.type_name()) + " in it", "write only texts in quotes");
  }
  if (texts.size() > max)
    problem(key, "has more than " + std::to_string(max) + " entries", "shorten the list");
  else
    out = std::move(texts);
}

void TableReader::duration(std::string_view key, milliseconds& out, milliseconds min, milliseconds max) {
  const Value* value = raw(key);
  const bool zero = value && value->as_int() && *value->as_int() == 0;
  if (!want(key, value && (value->is_string() || zero), value, "\"30s\": a duration needs a unit and quotes"))
    return;
  milliseconds duration{0};
  if (!zero) {
    const Result<milliseconds> parsed = parse_duration(*value->as_string());
    if (!parsed) return problem(key, parsed.error().message());
    duration = *parsed;
  }
  if (duration < min)
    problem(key, format_duration(duration) + " is too short",
            "write at least \"" + format_duration(min) + '"');
  else if (duration > max)
    problem(key, format_duration(duration) + " is too long", "write at most \"" + format_duration(max) + '"');
  else
    out = duration;
}

std::optional<std::uint64_t> TableReader::size_in(std::string_view key, std::uint64_t min,
                                                  std::uint64_t max) {
  const Value* value = raw(key);
  const bool number = value && value->as_int() && *value->as_int() >= 0;
  if (!want(key, value && (value->is_string() || number), value, "\"20MiB\" or a number of bytes"))
    return std::nullopt;
  std::uint64_t size = 0;
  if (number) {
    size = static_cast<std::uint64_t>(*value->as_int());
  } else {
    const Result<std::uint64_t> parsed = parse_size(*value->as_string());
    if (!parsed) {
      problem(key, parsed.error().message());
      return std::nullopt;
    }
    size = *parsed;
  }
  if (size < min) {
    problem(key, format_size(size) + " is too small", "write at least \"" + format_size(min) + '"');
    return std::nullopt;
  }
  if (size > max) {
    problem(key, format_size(size) + " is too large", "write at most \"" + format_size(max) + '"');
    return std::nullopt;
  }
  return size;
}

void TableReader::rate(std::string_view key, std::uint64_t& out) {
  const Value* value = raw(key);
  if (!want(key, value && value->is_string(), value, "\"4MiB/s\"")) return;
  const Result<std::uint64_t> parsed = parse_rate(*value->as_string());
  if (!parsed)
    problem(key, parsed.error().message());
  else if (*parsed < 1024 || *parsed > (std::uint64_t{1} << 40))
    problem(key, "is out of range", "write from \"1KiB/s\" to \"1TiB/s\"");
  else
    out = *parsed;
}

void TableReader::endpoint(std::string_view key, std::optional<Endpoint>& out) {
  const Value* value = raw(key);
  if (!want(key, value && value->is_string(), value, "\"127.0.0.1:9464\"")) return;
  Result<Endpoint> parsed = parse_endpoint(*value->as_string());
  if (parsed)
    out = std::move(*parsed);
  else
    problem(key, parsed.error().message());
}

std::optional<std::size_t> TableReader::choice(std::string_view key, const std::vector<std::string>& words) {
  const Value* value = raw(key);
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "\"" : ", \"") + word + '"';
  if (!want(key, value && value->is_string(), value, "one of " + all)) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), *value->as_string());
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  const std::string meant = did_you_mean(*value->as_string(), words);
  problem(key, '"' + value->as_string()->substr(0, 64) + "\" is not known",
          meant.empty() ? "write one of " + all : "did you mean \"" + meant + "\"? Possible are " + all);
  return std::nullopt;
}

void TableReader::secret(std::string_view key, Secret& out, SecretSource& source) {
  const Value* value = raw(key);
  if (!value) return;
  Result<SecretSource> parsed = parse_secret_source(*value);
  if (!parsed) return problem(key, parsed.error().message());
  source = std::move(*parsed);
  if (!context_.read_secrets) return;
  Result<SecretText> read = read_secret(source);
  if (!read) return problem(key, read.error().message());
  out = std::move(read->secret);
  if (!read->warning.empty())
    context_.warnings.push_back({value->where(), key_path(key), std::move(read->warning), {}});
}

void TableReader::done() {
  if (!table_) return;
  for (const Member& member : *table_->as_table()) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    const std::string meant = did_you_mean(member.key, known_);
    std::string all;
    for (const std::string& key : known_) all += (all.empty() ? "" : ", ") + key;
    problem_at(member.value, member.key.substr(0, 64), "unknown setting",
               meant.empty() ? "known here are: " + all : "did you mean \"" + meant + "\"?");
  }
}

Result<SecretSource> parse_secret_source(const Value& value) {
  static constexpr std::string_view kAdvice =
      R"(write { file = "/path" }, { credential = "name" } or { env = "NAME" })";
  if (value.is_string())
    return fail(Code::invalid, "a secret is not written into the configuration; put it into a file and " +
                                   std::string(kAdvice));
  const Value::Table* table = value.as_table();
  if (!table || table->size() != 1 || !table->front().value.is_string())
    return fail(Code::invalid, "is not the place of a secret; " + std::string(kAdvice));
  const std::string& key = table->front().key;
  const std::string& name = *table->front().value.as_string();
  SecretSource source;
  source.name = name;
  const bool plain = !name.empty() && name.size() <= 4000 && name.find('\0') == std::string::npos;
  if (key == "file") {
    source.kind = SecretSource::Kind::file;
    if (!plain || name.front() != '/')
      return fail(Code::invalid,
                  "the path of a secret file is not absolute; write { file = \"/etc/otagate/...\" }");
  } else if (key == "credential") {
    source.kind = SecretSource::Kind::credential;
    if (!plain || name.find('/') != std::string::npos || name == "." || name == "..")
      return fail(Code::invalid, "a credential is a name without slashes, as in the unit's LoadCredential=");
  } else if (key == "env") {
    source.kind = SecretSource::Kind::env;
    if (!plain || name.find('=') != std::string::npos)
      return fail(Code::invalid, "is not the name of an environment variable; write { env = \"NAME\" }");
  } else {
    return fail(Code::invalid, "is not the place of a secret; " + std::string(kAdvice));
  }
  return source;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&] {
    return fail(Code::invalid, '"' + std::string(text.substr(0, 64)) +
                                   "\" is not an address and port; write for example \"127.0.0.1:9464\", "
                                   "\"0.0.0.0:9464\" or \"[::1]:9464\"");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  std::string_view address = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = address.starts_with('[') && address.ends_with(']') && address.size() > 2;
  if (bracketed) address = address.substr(1, address.size() - 2);
  Endpoint endpoint;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), endpoint.port);
  if (error != std::errc{} || end != port_text.data() + port_text.size() || endpoint.port == 0)
    return wrong();
  endpoint.address = std::string(address);
  unsigned char binary[16];
  if (endpoint.address.find('\0') != std::string::npos ||
      ::inet_pton(bracketed ? AF_INET6 : AF_INET, endpoint.address.c_str(), binary) != 1)
    return wrong();
  return endpoint;
}

}  // namespace otagate::config

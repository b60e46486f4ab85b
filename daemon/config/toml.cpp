#include "config/toml.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 1  // dates are written out
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

namespace otagate::config {

namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxDots = 64;

Location place(const std::string& file, const toml::source_region& region) {
  return {file, static_cast<std::uint32_t>(region.begin.line),
          static_cast<std::uint32_t>(region.begin.column)};
}

class Converter {
 public:
  explicit Converter(const std::string& file) : file_(file) {}

  Value table(const toml::table& from, std::size_t depth) {
    Value out = Value::Table{};
    out.set_where(place(file_, from.source()));
    if (too_deep(depth, out.where())) return out;
    // toml++ sorts keys; the file's order is what people expect to see again.
    std::vector<std::pair<std::string_view, const toml::node*>> members;
    for (const auto& [key, node] : from) members.emplace_back(key.str(), &node);
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
      const auto &left = a.second->source().begin, &right = b.second->source().begin;
      return std::pair(left.line, left.column) < std::pair(right.line, right.column);
    });
    Value::Table& table = *out.as_table();
    for (const auto& [key, node] : members) table.push_back({std::string(key), value(*node, depth + 1)});
    return out;
  }

  std::optional<Problem> problem() && { return std::move(problem_); }

 private:
  Value value(const toml::node& from, std::size_t depth) {
    Value out;
    if (const toml::table* inner = from.as_table()) {
      return table(*inner, depth);
    } else if (const toml::array* array = from.as_array()) {
      Value::Array items;
      if (!too_deep(depth, place(file_, from.source())))
        for (const toml::node& item : *array) items.push_back(value(item, depth + 1));
      out = std::move(items);
    } else if (const auto* text = from.as_string()) {
      out = text->get();
    } else if (const auto* integer = from.as_integer()) {
      out = integer->get();
    } else if (const auto* number = from.as_floating_point()) {
      if (!std::isfinite(number->get()))
        report(place(file_, from.source()), "nan and inf are not accepted", "write a number");
      else
        out = number->get();
    } else if (const auto* flag = from.as_boolean()) {
      out = flag->get();
    } else {
      std::ostringstream written;
      from.visit([&](const auto& node) {
        if constexpr (toml::is_date<decltype(node)> || toml::is_time<decltype(node)> ||
                      toml::is_date_time<decltype(node)>)
          written << node.get();
      });
      out = written.str();
    }
    out.set_where(place(file_, from.source()));
    return out;
  }

  bool too_deep(std::size_t depth, Location where) {
    if (depth <= kMaxDepth) return false;
    report(std::move(where), "nested deeper than " + std::to_string(kMaxDepth) + " levels", "");
    return true;
  }

  void report(Location where, std::string message, std::string advice) {
    if (!problem_) problem_ = Problem{std::move(where), "", std::move(message), std::move(advice)};
  }

  const std::string& file_;
  std::optional<Problem> problem_;
};

// toml++ 3.3 bounds nested values but not dotted keys, and recurses over both when it destroys them:
// a megabyte of "a.a.a..." would overflow the stack. Returns the line of such a run, or 0.
std::uint32_t endless_key(std::string_view text) {
  std::uint32_t line = 1;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    const bool in_key = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == ' ' ||
                        c == '\t' || c == '"' || c == '\'';
    if (c == '.') {
      if (++dots > kMaxDots) return line;
    } else if (!in_key) {
      dots = 0;
    }
  }
  return 0;
}

}  // namespace

tl::expected<Value, Problem> parse_toml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxFile)
    return tl::unexpected(Problem{{file, 0, 0}, "", "is larger than 1 MiB", "split it into conf.d/*.toml"});
  if (const std::uint32_t line = endless_key(text))
    return tl::unexpected(Problem{{file, line, 0}, "", "more than 64 dots in one key or text", ""});
  const toml::parse_result parsed = toml::parse(text, std::string_view(file));
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return tl::unexpected(
        Problem{place(file, error.source()), "", "not valid TOML: " + std::string(error.description()), ""});
  }
  Converter converter(file);
  Value root = converter.table(parsed.table(), 0);
  if (std::optional<Problem> problem = std::move(converter).problem())
    return tl::unexpected(std::move(*problem));
  return root;
}

}  // namespace otagate::config

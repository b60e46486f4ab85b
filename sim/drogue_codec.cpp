#include "drogue_codec.hpp"

#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "cbor.hpp"

namespace otagate::sim {
namespace {

namespace json = boost::json;

// The names of a command's fields; their place is their number in the packed spelling.
using Fields = std::array<std::string_view, 4>;
struct Variant {
  std::string_view name;
  Fields fields;
};
constexpr std::array<Variant, 4> kVariants = {{
    {"Wait", {"correlation_id", "poll", {}, {}}},
    {"Sync", {"version", "correlation_id", "poll", {}}},
    {"Write", {"version", "correlation_id", "offset", "data"}},
    {"Swap", {"version", "correlation_id", "checksum", {}}},
}};

std::optional<std::size_t> variant_of(const CborReader::Key& key) {
  for (std::size_t i = 0; i < kVariants.size(); ++i) {
    if (key.number ? *key.number == i : key.text == kVariants[i].name) return i;
  }
  return std::nullopt;
}

std::string_view field_of(const CborReader::Key& key, const Fields& fields) {
  if (!key.number) return key.text;
  return *key.number < fields.size() ? fields[*key.number] : std::string_view();
}

std::string encode_json(const DrogueStatus& status) {
  json::object out{
      {"version", status.version}, {"mtu", nullptr}, {"correlation_id", nullptr}, {"update", nullptr}};
  if (status.mtu) out["mtu"] = *status.mtu;
  if (status.correlation_id) out["correlation_id"] = *status.correlation_id;
  if (status.update) {
    out["update"] = json::object{{"version", status.update->version}, {"offset", status.update->offset}};
  }
  return json::serialize(out);
}

std::optional<std::string> from_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out += static_cast<char>(bits >> have & 0xFFU);
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string out;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const auto* end = text.data() + i + 2;
    if (std::from_chars(text.data() + i, end, byte, 16).ptr != end) return std::nullopt;
    out += static_cast<char>(byte);
  }
  return out;
}

std::optional<DrogueCommand> decode_json(std::string_view body) {
  boost::system::error_code failed;
  json::parse_options bounds;
  bounds.max_depth = 8;
  const auto parsed = json::parse(body, failed, {}, bounds);
  const auto* outer = failed ? nullptr : parsed.if_object();
  if (outer == nullptr || outer->size() != 1) return std::nullopt;
  const auto variant = variant_of({std::nullopt, std::string_view(outer->begin()->key())});
  const auto* fields = outer->begin()->value().if_object();
  if (!variant || fields == nullptr) return std::nullopt;
  DrogueCommand command;
  command.kind = static_cast<DrogueCommand::Kind>(*variant);
  const auto number = [&](std::string_view key) -> std::optional<std::uint64_t> {
    const auto* value = fields->if_contains(key);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    boost::system::error_code inexact;
    const auto whole = value->to_number<std::uint64_t>(inexact);
    return inexact ? std::nullopt : std::optional(whole);
  };
  const auto string = [&](std::string_view key) -> std::string_view {
    const auto* value = fields->if_contains(key);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                  : std::string_view();
  };
  command.correlation_id = number("correlation_id");
  command.poll = number("poll");
  command.offset = number("offset").value_or(0);
  command.version = string("version");
  const auto data = from_base64(string("data"));
  const auto checksum = from_hex(string("checksum"));
  if (!data || !checksum) return std::nullopt;
  command.data = *data;
  command.checksum = *checksum;
  return command;
}

}  // namespace

std::string encode(const DrogueStatus& status, DrogueFormat format) {
  if (format == DrogueFormat::json) return encode_json(status);
  CborWriter out;
  const auto key = [&](std::uint64_t number, std::string_view name) {
    if (format == DrogueFormat::packed) {
      out.number(number);
    } else {
      out.text(name);
    }
  };
  const auto number = [&](const std::optional<std::uint32_t>& value) {
    if (value) {
      out.number(*value);
    } else {
      out.null();
    }
  };
  out.map(4);
  key(0, "version");
  out.bytes(status.version);
  key(1, "mtu");
  number(status.mtu);
  key(2, "correlation_id");
  number(status.correlation_id);
  key(3, "update");
  if (!status.update) {
    out.null();
    return out.take();
  }
  out.map(2);
  key(0, "version");
  out.bytes(status.update->version);
  key(1, "offset");
  out.number(status.update->offset);
  return out.take();
}

std::optional<DrogueCommand> decode_command(std::string_view body, bool is_json) {
  if (is_json) return decode_json(body);
  CborReader in(body);
  if (in.map() != 1) return std::nullopt;
  const auto variant = variant_of(in.key());
  if (!in.ok() || !variant) return std::nullopt;
  const auto& fields = kVariants[*variant].fields;
  DrogueCommand command;
  command.kind = static_cast<DrogueCommand::Kind>(*variant);
  const auto entries = in.map();
  for (std::uint64_t i = 0; in.ok() && i < entries; ++i) {
    const auto field = field_of(in.key(), fields);
    if (field == "version") {
      command.version = in.bytes();
    } else if (field == "correlation_id") {
      command.correlation_id = in.number_or_null();
    } else if (field == "poll") {
      command.poll = in.number_or_null();
    } else if (field == "offset") {
      command.offset = in.number_or_null().value_or(0);
    } else if (field == "data") {
      command.data = in.bytes();
    } else if (field == "checksum") {
      command.checksum = in.bytes();
    } else {
      in.skip();
    }
  }
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return command;
}

}  // namespace otagate::sim

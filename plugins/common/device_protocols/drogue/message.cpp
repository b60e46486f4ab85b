#include "common/device_protocols/drogue/message.hpp"

#include <array>
#include <limits>
#include <utility>

#include <boost/json.hpp>

#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "common/device_protocols/drogue/text.hpp"

namespace otagate::plugins::devices::drogue {
namespace {

using cbor::Kind;
using cbor::Value;

constexpr std::array<std::string_view, 4> kStatusMembers = {"version", "mtu", "correlation_id", "update"};
constexpr std::array<std::string_view, 2> kUpdateMembers = {"version", "offset"};
constexpr std::array<std::string_view, 4> kCommands = {"Wait", "Sync", "Write", "Swap"};

// Why a message is refused; null: it is not.
using Problem = const char*;

// A member of a message, whichever the spelling: what is common to Value and boost::json::value here.
Problem take_version(const Value& value, std::string& out) {
  if (!value.is(Kind::bytes)) return "a version must be a byte string";
  if (value.string.size() > kMaxVersion) return "a version is at most 64 bytes";
  out = value.string;
  return nullptr;
}

Problem take_number(const Value& value, std::uint32_t& out) {
  const auto number = value.as_unsigned();
  if (!number || *number > std::numeric_limits<std::uint32_t>::max())
    return "mtu, correlation_id and offset are whole numbers of 32 bits";
  out = static_cast<std::uint32_t>(*number);
  return nullptr;
}

Problem take_version(const boost::json::value& value, std::string& out) {
  const auto* text = value.if_string();
  if (text == nullptr) return "a version must be a string";
  if (text->size() > kMaxVersion) return "a version is at most 64 bytes";
  out.assign(text->data(), text->size());
  return nullptr;
}

Problem take_number(const boost::json::value& value, std::uint32_t& out) {
  boost::json::error_code error;
  const auto number = value.is_number() ? value.to_number<std::uint64_t>(error) : 0;
  if (!value.is_number() || value.is_double() || error || number > std::numeric_limits<std::uint32_t>::max())
    return "mtu, correlation_id and offset are whole numbers of 32 bits";
  out = static_cast<std::uint32_t>(number);
  return nullptr;
}

bool is_nothing(const Value& value) { return value.is_nothing(); }
bool is_nothing(const boost::json::value& value) { return value.is_null(); }

template <class Any>
Problem take_optional(const Any* value, std::optional<std::uint32_t>& out) {
  if (value == nullptr || is_nothing(*value)) return nullptr;
  return take_number(*value, out.emplace());
}

template <std::size_t N, class Any>
struct Members {
  std::array<const Any*, N> of{};
  bool named = false;  // the first, which there always is, came by its name
};

template <std::size_t N>
Problem find_members(const Value& raw, const std::array<std::string_view, N>& names, Members<N, Value>& out) {
  const Value& value = raw.untagged();
  if (value.is(Kind::array)) {
    for (std::size_t i = 0; i < value.items.size() && i < N; ++i) out.of[i] = &value.items[i].untagged();
    return nullptr;
  }
  if (!value.is(Kind::map)) return "a status, and its update, must be a map or an array";
  for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
    const Value& key = value.items[i].untagged();
    std::size_t index = N;
    for (std::size_t k = 0; k < N && key.is(Kind::text); ++k) {
      if (key.string == names[k]) index = k;
    }
    if (key.is(Kind::unsigned_integer) && key.number < N) index = static_cast<std::size_t>(key.number);
    if (index == N) continue;
    if (out.of[index] != nullptr) return "a member is there twice";
    out.of[index] = &value.items[i + 1].untagged();
    if (index == 0) out.named = key.is(Kind::text);
  }
  return nullptr;
}

template <std::size_t N>
Problem find_members(const boost::json::value& value, const std::array<std::string_view, N>& names,
                     Members<N, boost::json::value>& out) {
  const auto* object = value.if_object();
  if (object == nullptr) return "a status, and its update, must be an object";
  for (std::size_t i = 0; i < N; ++i) out.of[i] = object->if_contains(names[i]);
  return nullptr;
}

template <class Any>
Problem take_status(const Any& value, Status& out, bool& named) {
  Members<4, Any> members;
  if (const auto* problem = find_members(value, kStatusMembers, members)) return problem;
  named = members.named;
  if (members.of[0] == nullptr) return "a status must have the version that the device runs";
  if (const auto* problem = take_version(*members.of[0], out.version)) return problem;
  if (const auto* problem = take_optional(members.of[1], out.mtu)) return problem;
  if (const auto* problem = take_optional(members.of[2], out.correlation_id)) return problem;
  if (members.of[3] == nullptr || is_nothing(*members.of[3])) return nullptr;
  Members<2, Any> update;
  if (const auto* problem = find_members(*members.of[3], kUpdateMembers, update)) return problem;
  if (update.of[0] == nullptr || update.of[1] == nullptr) return "an update has a version and an offset";
  out.update.emplace();
  if (const auto* problem = take_version(*update.of[0], out.update->version)) return problem;
  return take_number(*update.of[1], out.update->offset);
}

sdk::Outcome<Read> refuse(std::string_view why) {
  sdk::Outcome<Read> out;
  out.status = OTAGATE_INVALID;
  out.message = "no Drogue status: " + std::string(why);
  return out;
}

sdk::Outcome<Read> read_json(std::string_view body) {
  boost::json::error_code error;
  const auto value = boost::json::parse(body, error);
  if (error) return refuse("the body is not JSON");
  sdk::Outcome<Read> out;
  bool named = false;
  if (const auto* problem = take_status(value, out.value.status, named)) return refuse(problem);
  out.value.spelling = Spelling::json;
  return out;
}

// Writes one message's members as CBOR: names or numbers.
class Writer {
 public:
  Writer(Spelling spelling, cbor::Encoder& out) : named_(spelling == Spelling::named), out_(out) {}
  void key(std::uint64_t index, std::string_view name) {
    if (named_) {
      out_.text(name);
    } else {
      out_.unsigned_integer(index);
    }
  }

 private:
  const bool named_;
  cbor::Encoder& out_;
};

boost::json::value json_of(const std::optional<std::uint32_t>& number) {
  if (!number) return nullptr;
  return *number;
}

std::string command_as_json(const Command& command) {
  using What = Command::Kind;
  boost::json::object members;
  if (command.kind != What::wait) members["version"] = command.version;
  members["correlation_id"] = json_of(command.correlation_id);
  if (command.kind == What::wait || command.kind == What::sync) members["poll"] = json_of(command.poll);
  if (command.kind == What::write) {
    members["offset"] = command.offset;
    members["data"] = base64_of(command.data);
  }
  if (command.kind == What::swap) members["checksum"] = hex_of(command.data);
  boost::json::object out;
  out[kCommands[static_cast<std::size_t>(command.kind)]] = std::move(members);
  return boost::json::serialize(out);
}

}  // namespace

sdk::Outcome<Read> read_status(std::string_view body) {
  if (body.empty()) return refuse("the body is empty");
  if (body.size() > kMaxStatus) return refuse("it is longer than any status");
  const auto first = body.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && body[first] == '{') return read_json(body);
  cbor::Limits limits;
  limits.bytes = kMaxStatus;
  limits.items = 128;
  const auto decoded = cbor::decode(body, limits);
  if (!decoded) return refuse(decoded.message);
  sdk::Outcome<Read> out;
  bool named = false;
  if (const auto* problem = take_status(decoded.value, out.value.status, named)) return refuse(problem);
  out.value.spelling = named ? Spelling::named : Spelling::packed;
  return out;
}

std::string write_status(const Status& status, Spelling spelling) {
  if (spelling == Spelling::json) {
    boost::json::object out{{"version", status.version},
                            {"mtu", json_of(status.mtu)},
                            {"correlation_id", json_of(status.correlation_id)},
                            {"update", nullptr}};
    if (status.update)
      out["update"] =
          boost::json::object{{"version", status.update->version}, {"offset", status.update->offset}};
    return boost::json::serialize(out);
  }
  cbor::Encoder out;
  Writer writer(spelling, out);
  out.map(4);
  writer.key(0, "version");
  out.bytes(status.version);
  writer.key(1, "mtu");
  out.optional(status.mtu);
  writer.key(2, "correlation_id");
  out.optional(status.correlation_id);
  writer.key(3, "update");
  if (!status.update) {
    out.null();
    return out.take();
  }
  out.map(2);
  writer.key(0, "version");
  out.bytes(status.update->version);
  writer.key(1, "offset");
  out.unsigned_integer(status.update->offset);
  return out.take();
}

std::string write_command(const Command& command, Spelling spelling) {
  using What = Command::Kind;
  if (spelling == Spelling::json) return command_as_json(command);
  cbor::Encoder out;
  Writer writer(spelling, out);
  const auto kind = static_cast<std::size_t>(command.kind);
  out.map(1);
  writer.key(kind, kCommands[kind]);
  constexpr std::array<std::uint64_t, 4> kMembers = {2, 3, 4, 3};
  out.map(kMembers[kind]);
  std::uint64_t index = 0;
  if (command.kind != What::wait) {
    writer.key(index++, "version");
    out.bytes(command.version);
  }
  writer.key(index++, "correlation_id");
  out.optional(command.correlation_id);
  if (command.kind == What::wait || command.kind == What::sync) {
    writer.key(index, "poll");
    out.optional(command.poll);
  } else if (command.kind == What::write) {
    writer.key(index++, "offset");
    out.unsigned_integer(command.offset);
    writer.key(index, "data");
    out.bytes(command.data);
  } else {
    writer.key(index, "checksum");
    out.bytes(command.data);
  }
  return out.take();
}

std::string_view media_type(Spelling spelling) {
  return spelling == Spelling::json ? "application/json" : "application/cbor";
}

}  // namespace otagate::plugins::devices::drogue

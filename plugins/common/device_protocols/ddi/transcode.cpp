#include "common/device_protocols/ddi/transcode.hpp"

#include <utility>

#include <boost/json.hpp>

#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "common/device_protocols/ddi/messages.hpp"

namespace otagate::plugins::devices::ddi {
namespace {

namespace json = boost::json;
using cbor::Kind;
using cbor::Value;

// The decoder bounds how deep it goes.
std::optional<json::value> json_value(const Value& tagged) {
  const Value& value = tagged.untagged();
  switch (value.kind) {
    case Kind::unsigned_integer: return json::value(value.number);
    case Kind::negative_integer: {
      const auto number = value.as_signed();
      return number ? json::value(*number) : json::value(-1.0 - static_cast<double>(value.number));
    }
    case Kind::text: return json::value(value.string);
    case Kind::boolean: return json::value(value.number != 0);
    case Kind::null:
    case Kind::undefined: return json::value(nullptr);
    case Kind::real: return json::value(value.real);
    case Kind::array: {
      json::array out;
      for (const Value& item : value.items) {
        auto converted = json_value(item);
        if (!converted) return std::nullopt;
        out.push_back(std::move(*converted));
      }
      return out;
    }
    case Kind::map: {
      json::object out;
      for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
        const Value& key = value.items[i].untagged();
        auto converted = json_value(value.items[i + 1]);
        if (!key.is(Kind::text) || !converted) return std::nullopt;
        out[key.string] = std::move(*converted);
      }
      return out;
    }
    case Kind::bytes:
    case Kind::tag: break;
  }
  return std::nullopt;
}

void encode(cbor::Encoder& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: out.null(); return;
    case json::kind::bool_: out.boolean(value.get_bool()); return;
    case json::kind::int64: out.integer(value.get_int64()); return;
    case json::kind::uint64: out.unsigned_integer(value.get_uint64()); return;
    case json::kind::double_: out.real(value.get_double()); return;
    case json::kind::string: out.text({value.get_string().data(), value.get_string().size()}); return;
    case json::kind::array:
      out.array(value.get_array().size());
      for (const json::value& item : value.get_array()) encode(out, item);
      return;
    case json::kind::object:
      out.map(value.get_object().size());
      for (const auto& [key, member] : value.get_object()) {
        out.text({key.data(), key.size()});
        encode(out, member);
      }
      return;
  }
}

}  // namespace

std::optional<std::string> json_of_cbor(std::string_view bytes, std::string& wrong) {
  const auto decoded = cbor::decode(bytes, {.bytes = kMaxBody});
  if (!decoded) {
    wrong = decoded.message;
    return std::nullopt;
  }
  const auto value = json_value(decoded.value);
  if (!value) {
    wrong = "the message may hold no byte strings, and its keys must be text";
    return std::nullopt;
  }
  return json::serialize(*value);
}

std::string cbor_of_json(std::string_view document) {
  json::error_code error;
  const json::value value = json::parse({document.data(), document.size()}, error);
  cbor::Encoder out;
  encode(out, value);
  return out.take();
}

}  // namespace otagate::plugins::devices::ddi

#include "common/cbor/decoder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cbor.h>

#include "common/cbor/utf8.hpp"

namespace otagate::plugins::cbor {
namespace {

// Builds the tree out of what libcbor's streaming decoder calls: one call for each head, with the bytes of a
// definite string only once all of them are there.
class Builder {
 public:
  explicit Builder(const Limits& limits) : limits_(limits) {}

  const char* problem() const { return problem_; }
  bool complete() const { return root_.has_value(); }
  Value take() { return std::move(*root_); }
  // Of the input that is left: no collection has more elements than that.
  void set_left(std::size_t bytes) { left_ = bytes; }

  void leaf(Value value) {
    if (!may_add()) return;
    if (!open_.empty() && open_.back().is_string())
      return fail("in a string of indefinite length there are only pieces of it");
    add(std::move(value));
  }

  void piece(Kind kind, std::string_view data) {
    if (kind == Kind::text && !is_utf8(data)) return fail("a text is not UTF-8");
    if (open_.empty() || !open_.back().is_string()) {
      return leaf({kind, 0, 0, std::string(data), {}});
    }
    if (!may_add()) return;
    if (open_.back().value.kind != kind) return fail("the pieces of a string are of two kinds");
    open_.back().value.string.append(data);
  }

  // `left`: data items to come, or none for an indefinite length.
  void begin(Kind kind, std::uint64_t number, std::optional<std::uint64_t> left) {
    if (!may_add()) return;
    if (!open_.empty() && open_.back().is_string())
      return fail("in a string of indefinite length there are only pieces of it");
    if (left && *left > left_) return fail("more is announced than there is");
    Value value;
    value.kind = kind;
    value.number = number;
    if (left && *left == 0) return add(std::move(value));
    if (open_.size() >= limits_.depth) return fail("nested too deeply");
    open_.push_back({std::move(value), left, !left && (kind == Kind::bytes || kind == Kind::text)});
  }

  void end() {
    if (open_.empty() || open_.back().left) return fail("an end without a beginning");
    if (open_.back().value.kind == Kind::map && open_.back().value.items.size() % 2 != 0)
      return fail("a map ends with a key that has no value");
    close();
  }

  void fail(const char* why) {
    if (problem_ == nullptr) problem_ = why;
  }

 private:
  struct Open {
    Value value;
    std::optional<std::uint64_t> left;
    bool string = false;
    bool is_string() const { return string; }
  };

  bool may_add() {
    if (problem_ != nullptr) return false;
    if (items_ == limits_.items) {
      fail("too many data items");
      return false;
    }
    ++items_;
    return true;
  }

  void close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    add(std::move(done));
  }

  void add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    auto& parent = open_.back();
    parent.value.items.push_back(std::move(value));
    if (parent.left && --*parent.left == 0) close();
  }

  const Limits& limits_;
  std::vector<Open> open_;
  std::optional<Value> root_;
  std::size_t items_ = 0;
  std::size_t left_ = 0;
  const char* problem_ = nullptr;
};

Builder& builder(void* context) { return *static_cast<Builder*>(context); }
void on_unsigned(void* context, std::uint64_t number) { builder(context).leaf(Value::unsigned_of(number)); }
void on_negative(void* context, std::uint64_t number) {
  builder(context).leaf({Kind::negative_integer, number, 0, {}, {}});
}
void on_real(void* context, double number) { builder(context).leaf(Value::of_real(number)); }
std::string_view as_view(cbor_data data, std::uint64_t length) {
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(length)};
}

// No more than twice what fits: an overflow would turn a huge map into an empty one.
std::uint64_t twice(std::uint64_t pairs) { return pairs > UINT64_MAX / 2 ? UINT64_MAX : pairs * 2; }

cbor_callbacks make_callbacks() {
  cbor_callbacks out = cbor_empty_callbacks;
  out.uint8 = [](void* context, std::uint8_t number) { on_unsigned(context, number); };
  out.uint16 = [](void* context, std::uint16_t number) { on_unsigned(context, number); };
  out.uint32 = [](void* context, std::uint32_t number) { on_unsigned(context, number); };
  out.uint64 = [](void* context, std::uint64_t number) { on_unsigned(context, number); };
  out.negint8 = [](void* context, std::uint8_t number) { on_negative(context, number); };
  out.negint16 = [](void* context, std::uint16_t number) { on_negative(context, number); };
  out.negint32 = [](void* context, std::uint32_t number) { on_negative(context, number); };
  out.negint64 = [](void* context, std::uint64_t number) { on_negative(context, number); };
  out.byte_string = [](void* context, cbor_data data, auto length) {
    builder(context).piece(Kind::bytes, as_view(data, length));
  };
  out.string = [](void* context, cbor_data data, auto length) {
    builder(context).piece(Kind::text, as_view(data, length));
  };
  out.byte_string_start = [](void* context) { builder(context).begin(Kind::bytes, 0, std::nullopt); };
  out.string_start = [](void* context) { builder(context).begin(Kind::text, 0, std::nullopt); };
  out.array_start = [](void* context, auto count) { builder(context).begin(Kind::array, 0, count); };
  out.indef_array_start = [](void* context) { builder(context).begin(Kind::array, 0, std::nullopt); };
  out.map_start = [](void* context, auto pairs) { builder(context).begin(Kind::map, 0, twice(pairs)); };
  out.indef_map_start = [](void* context) { builder(context).begin(Kind::map, 0, std::nullopt); };
  out.tag = [](void* context, std::uint64_t tag) { builder(context).begin(Kind::tag, tag, 1); };
  out.float2 = [](void* context, float number) { on_real(context, number); };
  out.float4 = [](void* context, float number) { on_real(context, number); };
  out.float8 = [](void* context, double number) { on_real(context, number); };
  out.undefined = [](void* context) { builder(context).leaf(Value()); };
  out.null = [](void* context) { builder(context).leaf(Value::null()); };
  out.boolean = [](void* context, bool truth) { builder(context).leaf(Value::boolean(truth)); };
  out.indef_break = [](void* context) { builder(context).end(); };
  return out;
}

sdk::Outcome<Value> refuse(std::size_t offset, const char* why) {
  sdk::Outcome<Value> out;
  out.status = OTAGATE_INVALID;
  out.message = "CBOR, byte " + std::to_string(offset) + ": " + why;
  return out;
}

}  // namespace

sdk::Outcome<Value> decode(std::string_view bytes, const Limits& limits) {
  static const cbor_callbacks kCallbacks = make_callbacks();
  if (bytes.size() > limits.bytes) return refuse(limits.bytes, "longer than what is accepted");
  Builder tree(limits);
  std::size_t at = 0;
  while (!tree.complete()) {
    tree.set_left(bytes.size() - at);
    const auto* data = reinterpret_cast<cbor_data>(bytes.data()) + at;
    const auto step = cbor_stream_decode(data, bytes.size() - at, &kCallbacks, &tree);
    if (step.status == CBOR_DECODER_NEDATA) return refuse(bytes.size(), "cut short");
    if (step.status != CBOR_DECODER_FINISHED || step.read == 0) return refuse(at, "not CBOR");
    if (tree.problem() != nullptr) return refuse(at, tree.problem());
    at += step.read;
  }
  if (at != bytes.size()) return refuse(at, "there is more after the end");
  sdk::Outcome<Value> out;
  out.value = tree.take();
  return out;
}

}  // namespace otagate::plugins::cbor

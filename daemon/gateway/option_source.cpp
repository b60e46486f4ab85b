#include "gateway/option_source.hpp"

namespace otagate::gateway {

namespace {

class ValueSource final : public plugin::OptionSource {
 public:
  explicit ValueSource(Value options) : options_(std::move(options)) {}

  plugin::OptionValue lookup(std::string_view dotted_path) const override {
    using Kind = plugin::OptionValue::Kind;
    plugin::OptionValue result;
    const Value* value = dotted_path.empty() ? &options_ : options_.find(dotted_path);
    if (value == nullptr || value->is_null()) return result;
    if (const auto* flag = value->as_bool()) {
      result.kind = Kind::boolean;
      result.integer = *flag ? 1 : 0;
    } else if (const auto* integer = value->as_int()) {
      result.kind = Kind::integer;
      result.integer = *integer;
    } else if (const auto* number = value->as_double()) {
      result.kind = Kind::number;
      result.number = *number;
    } else if (const auto* text = value->as_string()) {
      result.kind = Kind::string;
      result.string = *text;
    } else if (const auto* list = value->as_array()) {
      result.kind = Kind::list;
      result.integer = static_cast<std::int64_t>(list->size());
    } else if (const auto* table = value->as_table()) {
      result.kind = Kind::table;
      result.integer = static_cast<std::int64_t>(table->size());
      for (const Member& member : *table) result.keys.push_back(member.key);
    }
    return result;
  }

 private:
  const Value options_;
};

}  // namespace

std::shared_ptr<const plugin::OptionSource> make_option_source(Value options) {
  return std::make_shared<ValueSource>(std::move(options));
}

}  // namespace otagate::gateway

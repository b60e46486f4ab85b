#include "config/options.hpp"

#include <algorithm>
#include <utility>

#include "config/reader.hpp"
#include "config/schema.hpp"
#include "core/redact.hpp"
#include "core/units.hpp"

namespace otagate::config {

namespace {

class Resolver {
 public:
  Resolver(const OptionsOwner& owner, bool read_secrets) : owner_(owner), read_secrets_(read_secrets) {
    result_.options = Value::Table{};
  }

  ResolvedOptions run(const Value& options, std::string_view json_schema) && {
    const std::string path = std::string(owner_.kind) + '.' + std::string(owner_.name) + ".options";
    Result<Schema> schema = Schema::parse(json_schema);
    if (!schema) {
      add(instance(), path,
          "the plugin \"" + std::string(owner_.plugin) + "\" is faulty: " + schema.error().message(),
          "report it to the plugin's author");
      return std::move(result_);
    }
    Value value = options.is_null() ? Value(Value::Table{}) : options;
    if (!value.is_table())
      add(value.where(), path, "is " + std::string(value.type_name()), "write a table");
    else
      result_.options = table(value, schema->root(), path);
    return std::move(result_);
  }

 private:
  Value resolve(const Value& value, const SchemaNode& node, const std::string& path, std::string_view key) {
    switch (node.format()) {
      case SchemaNode::Format::secret: return secret(value, node, path);
      case SchemaNode::Format::duration:
      case SchemaNode::Format::size:
      case SchemaNode::Format::rate: return quantity(value, node, path, key);
      case SchemaNode::Format::none: break;
    }
    if (value.is_table() && node.has_properties()) return table(value, node, path);
    if (const Value::Array* array = value.as_array()) {
      const std::optional<SchemaNode> items = node.items();
      Value::Array out;
      for (std::size_t i = 0; i < array->size(); ++i)
        out.push_back(items ? resolve((*array)[i], *items, path + '.' + std::to_string(i), key)
                            : (*array)[i]);
      Value list(std::move(out));
      list.set_where(value.where());
      check(list, node, path, key);
      return list;
    }
    check(value, node, path, key);
    return value;
  }

  Value table(const Value& value, const SchemaNode& node, const std::string& path) {
    Value out = Value::Table{};
    out.set_where(value.where());
    const std::vector<std::string> names = node.property_names();
    for (const Member& member : *value.as_table()) {
      const std::string member_path = path + '.' + member.key;
      if (const std::optional<SchemaNode> property = node.property(member.key)) {
        out.set(member.key, resolve(member.value, *property, member_path, member.key));
      } else if (const std::optional<SchemaNode> any = node.additional()) {
        out.set(member.key, resolve(member.value, *any, member_path, member.key));
      } else if (node.open()) {
        out.set(member.key, member.value);
      } else {
        unknown(member, member_path, names);
      }
    }
    const std::vector<std::string> required = node.required();
    for (const std::string& name : names) {
      if (value.get(name)) continue;
      const std::optional<SchemaNode> property = node.property(name);
      const bool needed = std::find(required.begin(), required.end(), name) != required.end();
      if (std::optional<Value> fallback = property ? property->default_value() : std::nullopt)
        out.set(name, std::move(*fallback));
      else if (needed)
        add(place(value), path + '.' + name, "is missing",
            property ? advice(*property, "add " + name + " = ...") : "add it");
    }
    check(out, node, path, {});
    return out;
  }

  Value secret(const Value& value, const SchemaNode& node, const std::string& path) {
    Value hidden("");
    hidden.set_where(value.where());
    hidden.mark_secret();
    const Result<SecretSource> source = parse_secret_source(value);
    if (!source) {
      add(place(value), path, source.error().message(), node.description());
      return hidden;
    }
    if (!read_secrets_) return hidden;
    Result<SecretText> text = read_secret(*source);
    if (!text) {
      add(place(value), path, text.error().message(), {});
      return hidden;
    }
    if (!text->warning.empty()) result_.warnings.push_back({place(value), path, text->warning, {}});
    hidden = Value(text->secret.reveal());
    hidden.set_where(value.where());
    hidden.mark_secret();
    check(hidden, node, path, {});
    return hidden;
  }

  // "30s", "20MiB", "4MiB/s": checked, and turned into a number when the plugin asks for an integer.
  Value quantity(const Value& value, const SchemaNode& node, const std::string& path, std::string_view key) {
    const SchemaNode::Format format = node.format();
    const bool bytes = format == SchemaNode::Format::size && value.is_int();
    if (bytes || (value.as_int() && *value.as_int() == 0)) {
      check(value, node, path, key);
      return value;
    }
    const char* example = format == SchemaNode::Format::duration ? "\"30s\""
                          : format == SchemaNode::Format::size   ? "\"20MiB\""
                                                                 : "\"4MiB/s\"";
    if (!value.is_string()) {
      add(place(value), path, "is " + std::string(value.type_name()),
          advice(node, "write for example " + std::string(key) + " = " + example));
      return value;
    }
    Result<std::uint64_t> number = 0;
    if (format == SchemaNode::Format::duration) {
      number = parse_duration(*value.as_string()).map([](std::chrono::milliseconds duration) {
        return static_cast<std::uint64_t>(duration.count());
      });
    } else {
      number = format == SchemaNode::Format::size ? parse_size(*value.as_string())
                                                  : parse_rate(*value.as_string());
    }
    if (!number || *number > std::uint64_t{INT64_MAX}) {
      add(place(value), path, number ? "is too large" : number.error().message(), node.description());
      return value;
    }
    Value out = node.is_integer() ? Value(static_cast<std::int64_t>(*number)) : value;
    out.set_where(value.where());
    check(out, node, path, key);
    return out;
  }

  void check(const Value& value, const SchemaNode& node, const std::string& path, std::string_view key) {
    const std::optional<SchemaNode::Violation> violation = node.check(value);
    if (!violation) return;
    std::string dotted = violation->pointer;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    const Value* culprit = dotted.empty() ? &value : value.find(std::string_view(dotted).substr(1));
    if (!culprit) culprit = &value;
    std::string message = violation->message;
    std::string hint;
    if (const std::string* text = culprit->as_string()) {
      const bool hide = value.secret() || culprit->secret() || secret_name(key);
      if (!hide) message = '"' + text->substr(0, 64) + "\" " + message;
      const std::string meant = hide ? "" : did_you_mean(*text, violation->choices);
      if (!meant.empty()) hint = "did you mean \"" + meant + "\"?";
    } else if (culprit->is_int() && violation->keyword != "type") {
      message = std::to_string(*culprit->as_int()) + ' ' + message;
    } else if (violation->keyword == "type") {
      message = "is " + std::string(culprit->type_name()) + " but " + message;
    }
    add(place(*culprit), path + dotted, std::move(message), advice(node, hint));
  }

  void unknown(const Member& member, const std::string& path, const std::vector<std::string>& names) {
    const std::string meant = did_you_mean(member.key, names);
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    add(place(member.value), path, "the plugin \"" + std::string(owner_.plugin) + "\" has no such option",
        !meant.empty() ? "did you mean \"" + meant + "\"?"
        : all.empty()  ? "it has no options at all"
                       : "its options are: " + all);
  }

  // What to do, with the schema's own words behind it.
  static std::string advice(const SchemaNode& node, const std::string& what) {
    const std::string description = node.description();
    if (what.empty()) return description;
    return description.empty() ? what : what + " (" + description + ")";
  }

  Location instance() const { return owner_.where ? *owner_.where : Location{}; }
  Location place(const Value& value) const { return value.where().line ? value.where() : instance(); }

  void add(Location where, std::string key, std::string message, std::string advice) {
    result_.problems.push_back({std::move(where), std::move(key), std::move(message), std::move(advice)});
  }

  const OptionsOwner& owner_;
  bool read_secrets_;
  ResolvedOptions result_;
};

}  // namespace

ResolvedOptions resolve_options(const Value& options, std::string_view json_schema,
                                const OptionsOwner& owner) {
  return Resolver(owner, true).run(options, json_schema);
}

Problems validate_options(const Value& options, std::string_view json_schema, const OptionsOwner& owner) {
  return std::move(Resolver(owner, false).run(options, json_schema).problems);
}

}  // namespace otagate::config

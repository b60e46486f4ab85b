#include "firmware/import_list.hpp"

#include <set>
#include <tuple>
#include <utility>

#include "firmware/identity.hpp"
#include "firmware/json_text.hpp"

namespace otagate::firmware {

namespace {

constexpr std::size_t kMaxFile = 1024;  // bytes of a file's name

Result<Import> import_from_json(const JsonObject& object) {
  Import item;
  auto claim = claim_from_json(object);
  if (!claim) return fail(std::move(claim).error());
  if (!claim->sha256) return fail(Code::invalid, "\"sha256\" is missing");
  item.claim = std::move(*claim);
  item.digest = *item.claim.sha256;
  auto file = object.text("file");
  if (!file) return fail(std::move(file).error());
  item.file = std::move(*file).value_or("");
  if (item.file.size() > kMaxFile)
    return fail(Code::invalid, "\"file\" is longer than " + std::to_string(kMaxFile) + " bytes");
  return item;
}

Result<std::vector<Import>> items_of(const JsonObject& object) {
  auto objects = object.objects("items", kMaxImports);
  if (!objects) return fail(std::move(objects).error());
  if (!*objects || (*objects)->empty()) return fail(Code::invalid, "\"items\" is missing or empty");
  std::vector<Import> items;
  for (const JsonObject& one : **objects) {
    auto item = import_from_json(one);
    if (!item) return fail(std::move(item).error().with_context("item " + std::to_string(items.size() + 1)));
    items.push_back(std::move(*item));
  }
  return items;
}

// What a bundle may leave to nobody.
Result<void> complete(const Import& item) {
  if (!item.claim.name || !item.claim.version || !item.claim.size)
    return fail(Code::invalid, "name, version and size must be there");
  if (auto good = check_name(*item.claim.name); !good) return good;
  if (auto good = check_version(*item.claim.version); !good) return good;
  if (item.claim.type && !item.claim.type->empty()) return check_type(*item.claim.type);
  return {};
}

}  // namespace

Result<ImportList> parse_import_list(std::string_view json) {
  const auto object = JsonObject::parse(json);
  if (!object) return fail(Error(object.error()).with_context("the list"));
  ImportList list;
  auto items = items_of(*object);
  if (!items) return fail(std::move(items).error());
  list.items = std::move(*items);
  const auto replace = object->boolean("replace");
  if (!replace) return fail(replace.error());
  list.replace = replace->value_or(false);
  return list;
}

Result<ImportList> parse_bundle_manifest(std::string_view json) {
  const auto refuse = [](Error error) { return fail(std::move(error).with_context("manifest.json")); };
  const auto object = JsonObject::parse(json);
  if (!object) return refuse(object.error());
  const auto format = object->text("format");
  if (!format) return refuse(format.error());
  if (*format != kBundleFormat) {
    return refuse(Error(Code::invalid, "its format is \"" + format->value_or("") +
                                           "\", this gateway reads \"" + std::string(kBundleFormat) + "\""));
  }
  ImportList list;
  auto items = items_of(*object);
  if (!items) return refuse(std::move(items).error());
  list.items = std::move(*items);
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const Import& item = list.items[i];
    const std::string which = "item " + std::to_string(i + 1);
    if (auto good = complete(item); !good) return refuse(std::move(good).error().with_context(which));
    if (!seen.emplace(*item.claim.name, *item.claim.version, item.claim.type.value_or("")).second)
      return refuse(Error(Code::invalid, which + ": the same firmware is listed twice"));
  }
  return list;
}

}  // namespace otagate::firmware

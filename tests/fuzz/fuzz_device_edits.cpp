// links: otagate_api
// Lists of devices as operators import them: CSV, or JSON where the input begins with '{'. What is taken goes
// out as CSV and comes back the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "api/device_edits.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto edits = text.starts_with('{') ? api::parse_device_edits(text) : api::parse_device_csv(text);
  if (!edits) {
    if (edits.error().message().empty()) std::abort();
    return 0;
  }
  std::vector<rollout::DeviceView> views;
  std::set<std::string> ids, columns;
  for (const rollout::DeviceEdit& edit : *edits) {
    if (edit.id.empty() || !ids.insert(edit.id).second || edits->size() > api::kMaxEdits) std::abort();
    rollout::DeviceView& view = views.emplace_back();
    view.id = edit.id;
    view.type = edit.type.value_or("");
    view.approval = edit.approval.value_or(rollout::Approval::approved);
    if (edit.versions) view.versions = *edit.versions;
    for (const auto& [key, value] : view.versions) columns.insert(key);
    if (edit.versions && edit.versions->size() > api::kMaxPairs) std::abort();
  }
  // More columns than a table may have, or names longer with what stands before them: that is JSON's only.
  if (columns.size() > 200) return 0;
  for (const std::string& column : columns)
    if (column.size() + 10 > api::kMaxDeviceText) return 0;
  for (const rollout::DeviceView& view : views) {
    if (view.id.size() + 1 > api::kMaxDeviceText || view.type.size() + 1 > api::kMaxDeviceText) return 0;
    for (const auto& [key, value] : view.versions)
      if (value.size() + 1 > api::kMaxDeviceText) return 0;
  }
  const auto again = api::parse_device_csv(api::to_csv(views));
  if (!again || again->size() != views.size()) std::abort();
  for (std::size_t i = 0; i < views.size(); ++i) {
    if ((*again)[i].id != views[i].id || (*again)[i].type.value_or("") != views[i].type) std::abort();
    auto versions = (*again)[i].versions.value_or(std::map<std::string, std::string>());
    // An empty cell says nothing.
    std::erase_if(views[i].versions, [](const auto& pair) { return pair.second.empty(); });
    if (versions != views[i].versions) std::abort();
  }
  return 0;
}

// CSV of devices, read and written by libcsv.
#include <csv.h>

#include <algorithm>
#include <set>

#include "api/answers.hpp"
#include "api/device_edits.hpp"

namespace otagate::api {

namespace {

using rollout::DeviceEdit;
using rollout::DeviceView;

constexpr std::string_view kVersion = "version.";
constexpr std::string_view kAttribute = "attribute.";
constexpr std::size_t kMaxColumns = 256;
constexpr const char* kColumns =
    "the columns are id, type, approval, tags, transport, address, version.<component> and attribute.<key>";

bool is_shown_only(std::string_view column) { return column == "first_seen_ms" || column == "last_seen_ms"; }

// Would a spreadsheet take the cell for a formula? A number it may.
bool is_formula(std::string_view text) {
  if (text.empty() || std::string_view("=+-@\t\r").find(text.front()) == std::string_view::npos) return false;
  return text.size() == 1 || text.front() == '=' || text.front() == '@' ||
         text.find_first_not_of("0123456789.", 1) != std::string_view::npos;
}

// A value that would be one goes out behind an apostrophe, and so does what begins with apostrophes before
// it: devices choose their attributes, the operator's spreadsheet is not theirs.
bool is_guarded(std::string_view text) {
  const std::size_t start = text.find_first_not_of('\'');
  return start != std::string_view::npos && is_formula(text.substr(start));
}

// Takes the fields as they come; the first thing that is wrong stays.
class Reader {
 public:
  static void on_field(void* text, std::size_t size, void* self) {
    static_cast<Reader*>(self)->field({static_cast<const char*>(text), size});
  }
  static void on_row(int, void* self) { static_cast<Reader*>(self)->row(); }

  const std::string& problem() const { return problem_; }
  std::size_t rows() const { return rows_; }
  bool has_header() const { return header_read_; }
  std::vector<DeviceEdit> take() { return std::move(edits_); }

 private:
  void wrong(const std::string& what) {
    if (problem_.empty()) problem_ = "row " + std::to_string(rows_ + 1) + ": " + what;
  }

  void field(std::string_view text) {
    if (!problem_.empty()) return;
    if (!header_read_) return column(text);
    if (next_ >= columns_.size())
      return wrong("more cells than the header has; put a cell with a comma into quotes");
    const std::string& name = columns_[next_++];
    if (text.size() > kMaxDeviceText)
      return wrong(name + ": at most " + std::to_string(kMaxDeviceText) + " bytes");
    if (text.empty()) return;
    if (text.front() == '\'' && is_guarded(text)) text.remove_prefix(1);
    if (name == "id") {
      edit_.id = text;
    } else if (name == "type") {
      edit_.type = text;
    } else if (name == "approval") {
      rollout::Approval approval{};
      if (!parse_enum(text, rollout::Approval::blocked, approval))
        return wrong("approval: write pending, approved or blocked");
      edit_.approval = approval;
    } else if (name == "transport") {
      edit_.transport = text;
    } else if (name == "address") {
      edit_.address = text;
    } else if (name == "tags") {
      edit_.tags = split_tags(text);
      if (edit_.tags->size() > kMaxTags) wrong("tags: at most " + std::to_string(kMaxTags));
    } else if (name.starts_with(kVersion)) {
      set(edit_.versions, name.substr(kVersion.size()), text);
    } else if (name.starts_with(kAttribute)) {
      set(edit_.attributes, name.substr(kAttribute.size()), text);
    }
  }

  void column(std::string_view text) {
    // Spreadsheets begin UTF-8 with a byte order mark.
    if (columns_.empty() && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const bool known = text == "id" || text == "type" || text == "approval" || text == "tags" ||
                       text == "transport" || text == "address" || is_shown_only(text) ||
                       (text.starts_with(kVersion) && text.size() > kVersion.size()) ||
                       (text.starts_with(kAttribute) && text.size() > kAttribute.size());
    if (!known || text.size() > kMaxDeviceText)
      return wrong("column " + std::string(text.substr(0, 64)) + ": " + kColumns);
    if (columns_.size() >= kMaxColumns) return wrong("at most " + std::to_string(kMaxColumns) + " columns");
    if (std::find(columns_.begin(), columns_.end(), text) != columns_.end())
      return wrong("column " + std::string(text.substr(0, 64)) + " is there twice");
    columns_.emplace_back(text);
  }

  void row() {
    if (!problem_.empty()) return;
    if (!header_read_) {
      if (std::find(columns_.begin(), columns_.end(), "id") == columns_.end())
        wrong(std::string("the column id is missing; ") + kColumns);
      header_read_ = true;
      ++rows_;
      return;
    }
    if (next_ != columns_.size()) return wrong("fewer cells than the header has");
    if (edit_.id.empty()) return wrong("id: name the device");
    if (!seen_.insert(edit_.id).second) return wrong("device " + edit_.id + " is there twice");
    if (edits_.size() >= kMaxEdits) return wrong("at most " + std::to_string(kMaxEdits) + " devices at once");
    edits_.push_back(std::move(edit_));
    edit_ = {};
    next_ = 0;
    ++rows_;
  }

  static std::vector<std::string> split_tags(std::string_view text) {
    std::vector<std::string> tags;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      if (end > 0) tags.emplace_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return tags;
  }

  void set(std::optional<std::map<std::string, std::string>>& pairs, std::string key,
           std::string_view value) {
    if (!pairs) pairs.emplace();
    pairs->emplace(std::move(key), value);
    if (pairs->size() > kMaxPairs) wrong("at most " + std::to_string(kMaxPairs) + " of a kind");
  }

  std::vector<std::string> columns_;
  std::vector<DeviceEdit> edits_;
  std::set<std::string> seen_;
  DeviceEdit edit_;
  std::size_t next_ = 0;  // column of the next field
  std::size_t rows_ = 0;  // that are done, the header included
  bool header_read_ = false;
  std::string problem_;
};

// Rows with a comma between their cells; quotes only where they are needed.
class Writer {
 public:
  void cell(std::string_view text) {
    if (!first_) out_ += ',';
    first_ = false;
    std::string guarded;
    if (is_guarded(text)) {
      guarded.append("'").append(text);
      text = guarded;
    }
    const bool plain = !text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos &&
                       text.front() != ' ' && text.back() != ' ' && text.front() != '\t' &&
                       text.back() != '\t';
    if (plain || text.empty()) {
      out_ += text;
      return;
    }
    const std::size_t at = out_.size();
    out_.resize(at + 2 * text.size() + 2);
    out_.resize(at + csv_write(out_.data() + at, out_.size() - at, text.data(), text.size()));
  }
  void end() {
    out_ += "\r\n";
    first_ = true;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  bool first_ = true;
};

std::string joined(const std::vector<std::string>& tags) {
  std::string all;
  for (const std::string& tag : tags) all += (all.empty() ? "" : " ") + tag;
  return all;
}

std::string_view value_of(const std::map<std::string, std::string>& pairs, const std::string& key) {
  const auto found = pairs.find(key);
  return found == pairs.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

Result<std::vector<DeviceEdit>> parse_device_csv(std::string_view text) {
  csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) return fail(Code::internal, "csv_init failed");
  Reader reader;
  const std::size_t read =
      csv_parse(&parser, text.data(), text.size(), Reader::on_field, Reader::on_row, &reader);
  const bool whole =
      read == text.size() && csv_fini(&parser, Reader::on_field, Reader::on_row, &reader) == CSV_SUCCESS;
  const int error = csv_error(&parser);
  csv_free(&parser);
  if (!reader.problem().empty()) return fail(Code::invalid, reader.problem());
  if (!whole && error == CSV_ENOMEM) return fail(Code::no_space, "no memory for this CSV");
  if (!whole) {
    return fail(Code::invalid,
                "row " + std::to_string(reader.rows() + 1) +
                    ": a quote where none belongs, or one is missing; a cell with a quote, comma "
                    "or line break stands in quotes, a quote within is doubled (RFC 4180)");
  }
  if (!reader.has_header()) return fail(Code::invalid, std::string("a header is missing; ") + kColumns);
  return reader.take();
}

std::string to_csv(const std::vector<DeviceView>& devices) {
  std::set<std::string> components, attributes;
  for (const DeviceView& device : devices) {
    for (const auto& [component, version] : device.versions) components.insert(component);
    for (const auto& [key, value] : device.attributes) attributes.insert(key);
  }
  Writer out;
  for (const char* name : {"id", "type", "approval", "tags"}) out.cell(name);
  for (const std::string& component : components) out.cell(std::string(kVersion) + component);
  for (const std::string& key : attributes) out.cell(std::string(kAttribute) + key);
  for (const char* name : {"transport", "address", "first_seen_ms", "last_seen_ms"}) out.cell(name);
  out.end();
  for (const DeviceView& device : devices) {
    out.cell(device.id);
    out.cell(device.type);
    out.cell(rollout::to_string(device.approval));
    out.cell(joined(device.tags));
    for (const std::string& component : components) out.cell(value_of(device.versions, component));
    for (const std::string& key : attributes) out.cell(value_of(device.attributes, key));
    out.cell(device.transport);
    out.cell(device.address);
    out.cell(std::to_string(device.first_seen_ms));
    out.cell(device.last_seen_ms == 0 ? "" : std::to_string(device.last_seen_ms));
    out.end();
  }
  return out.take();
}

}  // namespace otagate::api

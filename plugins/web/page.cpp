#include "web/page.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/text.hpp"

namespace otagate::web {
namespace {

namespace json = boost::json;
using boost::system::error_code;

constexpr std::size_t kMaxReasons = 5;
constexpr std::size_t kMaxNesting = 16;

struct Raw {
  Entry entry{};
  std::string url{};
  std::string mtime{};
  std::string problem{};
};

// Gets the events of the parser and keeps what is of use: nothing of a hostile document is held but
// entries, of which there is a bounded number of bounded size.
class Reader {
 public:
  static constexpr std::size_t max_object_size = 1'000'000;
  static constexpr std::size_t max_array_size = 10'000'000;
  static constexpr std::size_t max_key_size = 1024;
  static constexpr std::size_t max_string_size = 64 * 1024;

  explicit Reader(std::size_t max_entries) : max_entries_(max_entries) {}

  std::vector<Raw> raws{};
  std::string next{};
  bool is_list = false;
  bool too_many = false;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& error) {
    ++depth_;
    if (inside_ && depth_ == items_depth_ + 1) {
      if (raws.size() >= max_entries_) return stop(error);
      raws.emplace_back();
    } else {
      odd();
    }
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    --depth_;
    return true;
  }
  bool on_array_begin(error_code&) {
    ++depth_;
    if (!inside_ && (depth_ == 1 || (depth_ == 2 && key_ == "items"))) {
      inside_ = is_list = true;
      items_depth_ = depth_;
    } else {
      odd();
    }
    return true;
  }
  bool on_array_end(std::size_t, error_code&) {
    if (inside_ && depth_ == items_depth_) inside_ = false;
    --depth_;
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t, error_code&) {
    part_.append(text.data(), text.size());
    return true;
  }
  bool on_key(json::string_view text, std::size_t, error_code&) {
    part_.append(text.data(), text.size());
    if (depth_ == 1 || in_entry()) key_ = std::move(part_);
    part_.clear();
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, error_code&) {
    part_.append(text.data(), text.size());
    return true;
  }
  bool on_string(json::string_view text, std::size_t, error_code& error) {
    part_.append(text.data(), text.size());
    const std::string value = std::exchange(part_, {});
    if (in_entry()) {
      take_text(value);
    } else if (depth_ == 1 && !inside_ && key_ == "next") {
      next = value.substr(0, kMaxReference + 1);
    }
    return element(error);
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, error_code& error) {
    if (number < 0) {
      odd();
    } else {
      take_number(static_cast<std::uint64_t>(number));
    }
    return element(error);
  }
  bool on_uint64(std::uint64_t number, json::string_view, error_code& error) {
    take_number(number);
    return element(error);
  }
  bool on_double(double, json::string_view, error_code& error) { return scalar(error); }
  bool on_bool(bool, error_code& error) { return scalar(error); }
  bool on_null(error_code& error) { return element(error); }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

 private:
  bool in_entry() const { return inside_ && depth_ == items_depth_ + 1 && !raws.empty(); }

  bool stop(error_code& error) {
    too_many = true;
    error = json::error::array_too_large;
    return false;
  }
  bool scalar(error_code& error) {
    odd();
    return element(error);
  }
  // Something that is no object directly in the list of entries.
  bool element(error_code& error) {
    if (!inside_ || depth_ != items_depth_) return true;
    if (raws.size() >= max_entries_) return stop(error);
    raws.emplace_back().problem = "an entry is no object";
    return true;
  }
  // A value of a kind that the member it belongs to cannot have. Unknown members may be anything.
  void odd() {
    static constexpr std::string_view kMembers[] = {"name", "version", "type",       "url",  "sha256",
                                                    "kind", "size",    "dependency", "mtime"};
    if (!inside_ || raws.empty() || depth_ < items_depth_ + 1) return;
    // A container has already been counted in depth_; what lies deeper than its begin is nobody's.
    if (depth_ > items_depth_ + 2) return;
    if (std::find(std::begin(kMembers), std::end(kMembers), key_) == std::end(kMembers)) return;
    if (raws.back().problem.empty()) raws.back().problem = "'" + key_ + "' is of the wrong kind";
  }
  void take_number(std::uint64_t number) {
    if (in_entry() && key_ == "size") {
      raws.back().entry.size = number;
    } else if (in_entry()) {
      odd();
    }
  }
  void take_text(const std::string& value) {
    Raw& raw = raws.back();
    if (value.size() > kMaxReference) {
      if (raw.problem.empty())
        raw.problem = "'" + common::printable(key_, 40) + "' has more than 2,048 bytes";
      return;
    }
    if (key_ == "name") {
      raw.entry.name = value;
    } else if (key_ == "version") {
      raw.entry.version = value;
    } else if (key_ == "type") {
      raw.entry.type = value;
    } else if (key_ == "url") {
      raw.url = value;
    } else if (key_ == "sha256") {
      raw.entry.sha256 = common::lower_case(value);
    } else if (key_ == "kind") {
      raw.entry.kind = value;
    } else if (key_ == "dependency") {
      raw.entry.dependency = value;
    } else if (key_ == "mtime") {
      raw.mtime = value;
    } else if (key_ == "size") {
      odd();
    }
  }

  const std::size_t max_entries_;
  std::size_t depth_ = 0;        // open objects and arrays
  std::size_t items_depth_ = 0;  // of the list of entries, once inside_
  bool inside_ = false;          // the list of entries
  std::string key_{};            // of the root or of an entry
  std::string part_{};           // of a text that comes in parts
};

bool short_text(const std::string& text) { return common::printable(text, kMaxText) == text; }

bool hex_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// What keeps the entry from being used, or nothing.
std::string settle_index(Raw& raw) {
  Entry& entry = raw.entry;
  if (raw.url.empty()) return "there is no 'url'";
  const bool plain = std::none_of(raw.url.begin(), raw.url.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte >= 0x7f;
  });
  if (!plain) return "'url' must be percent-encoded: " + common::printable(raw.url, 80);
  for (const std::string* text : {&entry.name, &entry.version, &entry.type, &entry.kind, &entry.dependency}) {
    if (!short_text(*text)) return "a text is longer than 256 bytes or holds control characters";
  }
  if (!entry.sha256.empty() && !hex_digest(entry.sha256)) return "'sha256' must be 64 hex digits";
  entry.target = std::move(raw.url);
  return {};
}

std::string settle_folder(Raw& raw) {
  Entry& entry = raw.entry;
  const std::string& name = entry.name;
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return "'name' is none of a file: '" + common::printable(name, 80) + "'";
  }
  if (entry.type != "file" && entry.type != "directory") return "'type' is neither file nor directory";
  entry.directory = entry.type == "directory";
  entry.target = std::exchange(entry.name, {});
  entry.modified = std::max<std::int64_t>(common::parse_http_date(raw.mtime).value_or(0), 0);
  entry.type.clear();
  for (std::string* other : {&entry.version, &entry.sha256, &entry.kind, &entry.dependency}) other->clear();
  return {};
}

std::string no_listing(const std::string& why) {
  return "the answer is no listing (" + why +
         "): it must be a JSON index, or a folder of a server that lists in JSON, such as nginx with "
         "'autoindex_format json'";
}

}  // namespace

common::Outcome<Page> parse_page(std::string_view text, Format wanted, std::size_t max_entries) {
  json::parse_options options;
  options.max_depth = kMaxNesting;
  options.allow_invalid_utf8 = true;  // names of files are bytes; other texts are looked at below
  json::basic_parser<Reader> parser(options, max_entries);
  error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  Reader& reader = parser.handler();
  if (reader.too_many) {
    return common::fail(OTAGATE_PERMANENT, "the listing has more than " + std::to_string(max_entries) +
                                               " entries: make it several stores");
  }
  if (error) return common::fail(OTAGATE_PERMANENT, no_listing(error.message()));
  const bool rest = text.substr(used).find_first_not_of(" \t\r\n") != std::string_view::npos;
  if (rest || !reader.is_list) {
    return common::fail(OTAGATE_PERMANENT, no_listing("it has no list of entries"));
  }

  Page page;
  page.format = wanted;
  if (wanted == Format::automatic) {
    const bool folder =
        !reader.raws.empty() && std::all_of(reader.raws.begin(), reader.raws.end(), [](const Raw& raw) {
          return raw.url.empty() && raw.entry.version.empty();
        });
    page.format = folder ? Format::folder : Format::index;
  }
  for (Raw& raw : reader.raws) {
    std::string problem = raw.problem;
    if (problem.empty()) problem = page.format == Format::index ? settle_index(raw) : settle_folder(raw);
    if (problem.empty()) {
      page.entries.push_back(std::move(raw.entry));
      continue;
    }
    ++page.skipped;
    if (page.reasons.size() < kMaxReasons) page.reasons.push_back(std::move(problem));
  }
  if (page.format == Format::index) page.next = std::move(reader.next);
  return page;
}

}  // namespace otagate::web

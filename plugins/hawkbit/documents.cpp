#include "hawkbit/documents.hpp"

#include <algorithm>
#include <exception>

#include <boost/json.hpp>

#include "common/http_client/url.hpp"

namespace otagate::hawkbit {
namespace {

namespace json = boost::json;
using common::ddi::Handling;

constexpr std::size_t kMaxUrl = 4096;
constexpr std::size_t kMaxMetadata = 64;

// A document that is not as it should be; caught where it was begun to be read.
struct Wrong {
  std::string why;
};

json::object read(std::string_view text) {
  if (text.size() > kMaxDocument) throw Wrong{"it is longer than 1 MiB"};
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) throw Wrong{"it is no JSON object"};
  return std::move(value.as_object());
}

template <class T>
common::Outcome<T> parsed(std::string_view what, std::string_view text,
                          T (*read_members)(const json::object&)) {
  std::string why;
  try {
    return read_members(read(text));
  } catch (const Wrong& problem) {
    why = problem.why;
  } catch (const std::exception& problem) {
    why = problem.what();
  }
  return common::fail(OTAGATE_PERMANENT, "the server's " + std::string(what) + " cannot be read: " + why);
}

const json::value* member(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const json::object* object_at(const json::object& from, std::string_view key) {
  const json::value* value = member(from, key);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) throw Wrong{std::string(key) + " is no object"};
  return &value->get_object();
}

const json::object& need_object(const json::object& from, std::string_view key) {
  if (const json::object* found = object_at(from, key)) return *found;
  throw Wrong{std::string(key) + " is missing"};
}

const json::array* array_at(const json::object& from, std::string_view key, std::size_t most) {
  const json::value* value = member(from, key);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) throw Wrong{std::string(key) + " is no list"};
  if (value->get_array().size() > most)
    throw Wrong{std::string(key) + " has more than " + std::to_string(most) + " members"};
  return &value->get_array();
}

const json::object& object_of(const json::value& value, std::string_view name) {
  if (!value.is_object()) throw Wrong{"a member of " + std::string(name) + " is no object"};
  return value.get_object();
}

// "" where it is absent.
std::string text_at(const json::object& from, std::string_view key, std::size_t most = kMaxText) {
  const json::value* value = member(from, key);
  if (value == nullptr) return {};
  if (!value->is_string()) throw Wrong{std::string(key) + " is no string"};
  const std::string_view text(value->get_string().data(), value->get_string().size());
  if (text.size() > most)
    throw Wrong{std::string(key) + " is longer than " + std::to_string(most) + " bytes"};
  if (std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
      }))
    throw Wrong{std::string(key) + " holds a control character"};
  return std::string(text);
}

std::string need_text(const json::object& from, std::string_view key) {
  std::string text = text_at(from, key);
  if (text.empty()) throw Wrong{std::string(key) + " is missing"};
  return text;
}

// Some servers write ids as numbers.
std::string id_at(const json::object& from, std::string_view key) {
  const json::value* value = member(from, key);
  std::string id;
  if (value != nullptr && value->is_int64()) id = std::to_string(value->get_int64());
  if (value != nullptr && value->is_string()) id = text_at(from, key);
  if (!valid_action(id)) throw Wrong{std::string(key) + " is no number of an action"};
  return id;
}

std::string hash_at(const json::object& hashes, std::string_view key, std::size_t digits) {
  std::string hash = text_at(hashes, key);
  if (hash.empty()) return hash;
  for (char& c : hash) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
      throw Wrong{"the " + std::string(key) + " of an artifact has other characters than hex digits"};
  }
  if (hash.size() != digits)
    throw Wrong{"the " + std::string(key) + " of an artifact has not " + std::to_string(digits) + " digits"};
  return hash;
}

std::string href_at(const json::object& links, std::string_view key) {
  const json::object* link = object_at(links, key);
  return link ? text_at(*link, "href", kMaxUrl) : std::string();
}

// ".../<resource>/<action>?c=<state>"; nothing for a link to the resource itself.
std::optional<ActionLink> action_link(const json::object& links, std::string_view resource) {
  const std::string href = href_at(links, resource);
  std::string_view path = href;
  std::string_view query;
  if (const std::size_t mark = path.find('?'); mark != std::string_view::npos) {
    query = path.substr(mark + 1);
    path = path.substr(0, mark);
  }
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || !path.substr(0, slash).ends_with(resource)) return std::nullopt;
  ActionLink link{std::string(path.substr(slash + 1)), {}};
  if (!valid_action(link.action)) throw Wrong{std::string(resource) + " links to what is no action"};
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!pair.starts_with("c=")) continue;
    const std::string_view state = pair.substr(2);
    const auto plain = [](char c) {
      return (c >= '0' && c <= '9') || c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '_';
    };
    if (state.size() > 64 || !std::all_of(state.begin(), state.end(), plain))
      throw Wrong{std::string(resource) + " has a state that is no number"};
    link.state = state;
  }
  return link;
}

Base read_base(const json::object& document) {
  Base base;
  if (const json::object* config = object_at(document, "config")) {
    if (const json::object* polling = object_at(*config, "polling")) {
      base.sleep_seconds = common::ddi::parse_sleep(text_at(*polling, "sleep"));
      if (!base.sleep_seconds) throw Wrong{"config.polling.sleep is not of the form HH:mm:ss"};
    }
  }
  if (const json::object* links = object_at(document, "_links")) {
    base.deployment = action_link(*links, "deploymentBase");
    base.confirmation = action_link(*links, "confirmationBase");
    base.cancel = action_link(*links, "cancelAction");
    base.config_data = object_at(*links, "configData") != nullptr;
  }
  return base;
}

Artifact read_artifact(const json::object& from) {
  Artifact artifact;
  artifact.filename = need_text(from, "filename");
  const json::object& hashes = need_object(from, "hashes");
  artifact.sha256 = hash_at(hashes, "sha256", 64);
  artifact.sha1 = hash_at(hashes, "sha1", 40);
  const json::value* size = member(from, "size");
  if (size == nullptr || !size->is_int64() || size->get_int64() < 0)
    throw Wrong{"the size of artifact " + artifact.filename + " is no number of bytes"};
  artifact.size = static_cast<std::uint64_t>(size->get_int64());
  if (const json::object* links = object_at(from, "_links")) {
    artifact.url = href_at(*links, "download");
    if (artifact.url.empty()) artifact.url = href_at(*links, "download-http");
  }
  if (!artifact.url.empty()) {
    if (const auto url = common::parse_url(artifact.url); !url)
      throw Wrong{"artifact " + artifact.filename + ": " + url.error().message};
  }
  return artifact;
}

Chunk read_chunk(const json::object& from) {
  Chunk chunk{need_text(from, "part"), need_text(from, "name"), need_text(from, "version"), {}, {}};
  if (const json::array* artifacts = array_at(from, "artifacts", kMaxArtifacts)) {
    for (const json::value& one : *artifacts)
      chunk.artifacts.push_back(read_artifact(object_of(one, "artifacts")));
  }
  if (const json::array* metadata = array_at(from, "metadata", kMaxMetadata)) {
    for (const json::value& one : *metadata) {
      const json::object& pair = object_of(one, "metadata");
      chunk.metadata.emplace_back(need_text(pair, "key"), text_at(pair, "value", 4096));
    }
  }
  return chunk;
}

Handling handling_at(const json::object& from, std::string_view key) {
  const auto handling = common::ddi::parse_word(common::ddi::kHandlings, need_text(from, key));
  if (!handling) throw Wrong{std::string(key) + " is none of skip, attempt, forced"};
  return *handling;
}

Deployment read_deployment(const json::object& document) {
  Deployment out;
  out.action = id_at(document, "id");
  const json::object* body = object_at(document, "deployment");
  if (body == nullptr) body = &need_object(document, "confirmation");
  out.download = handling_at(*body, "download");
  out.update = handling_at(*body, "update");
  const std::string window = text_at(*body, "maintenanceWindow");
  if (window == "available") {
    out.window = Window::available;
  } else if (window == "unavailable") {
    out.window = Window::unavailable;
  } else if (!window.empty()) {
    throw Wrong{"maintenanceWindow is neither available nor unavailable"};
  }
  if (const json::array* chunks = array_at(*body, "chunks", kMaxChunks)) {
    for (const json::value& one : *chunks) out.chunks.push_back(read_chunk(object_of(one, "chunks")));
  }
  return out;
}

Cancel read_cancel(const json::object& document) {
  return {id_at(document, "id"), id_at(need_object(document, "cancelAction"), "stopId")};
}

}  // namespace

bool valid_action(std::string_view id) {
  return !id.empty() && id.size() <= 19 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

common::Outcome<Base> parse_base(std::string_view text) {
  return parsed<Base>("answer to a poll", text, &read_base);
}

common::Outcome<Deployment> parse_deployment(std::string_view text) {
  return parsed<Deployment>("deployment", text, &read_deployment);
}

common::Outcome<Cancel> parse_cancel(std::string_view text) {
  return parsed<Cancel>("cancel action", text, &read_cancel);
}

std::string error_message(std::string_view text) {
  if (text.empty() || text.front() != '{' || text.size() > kMaxDocument) return {};
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return {};
  for (const char* key : {"message", "error"}) {
    const json::value* found = value.get_object().if_contains(key);
    if (found && found->is_string() && !found->get_string().empty())
      return common::printable({found->get_string().data(), found->get_string().size()}, 200);
  }
  return {};
}

}  // namespace otagate::hawkbit

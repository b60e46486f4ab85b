#include "oci/documents.hpp"

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/known_codes.hpp"
#include "oci/json.hpp"
#include "oci/reference.hpp"

namespace otagate::oci {
namespace {

namespace json = boost::json;

constexpr common::KnownCode kCodes[] = {
    {"UNAUTHORIZED", OTAGATE_DENIED, ""},
    {"DENIED", OTAGATE_DENIED, ""},
    {"TOOMANYREQUESTS", OTAGATE_THROTTLED, ""},
    {"NAME_UNKNOWN", OTAGATE_PERMANENT, "there is no such repository: check 'repositories' and 'registry'"},
    {"NAME_INVALID", OTAGATE_PERMANENT, "check 'repositories'"},
    {"UNSUPPORTED", OTAGATE_UNSUPPORTED, ""},
    {"SIZE_INVALID", OTAGATE_PERMANENT, ""},
};

}  // namespace

common::Outcome<std::vector<std::string>> parse_tags(std::string_view text) {
  const auto document = parse_object(text);
  if (!document) return common::fail(OTAGATE_PERMANENT, "the list of tags is no JSON object");
  std::vector<std::string> out;
  const json::array* tags = array_member(*document, "tags");
  if (!tags) return out;
  for (const json::value& value : *tags) {
    const json::string* tag = value.if_string();
    if (tag && valid_tag({tag->data(), tag->size()})) out.emplace_back(tag->data(), tag->size());
  }
  return out;
}

std::optional<std::string> next_link(std::string_view header) {
  while (!header.empty()) {
    const std::size_t open = header.find('<');
    const std::size_t close = open == std::string_view::npos ? open : header.find('>', open);
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view target = header.substr(open + 1, close - open - 1);
    header.remove_prefix(close + 1);
    const std::string_view params = header.substr(0, header.find('<'));
    if (params.find("rel=\"next\"") != std::string_view::npos ||
        params.find("rel=next") != std::string_view::npos) {
      if (target.empty() || target.size() > kMaxLink) return std::nullopt;
      return std::string(target);
    }
  }
  return std::nullopt;
}

RegistryError parse_registry_error(std::string_view body) {
  const auto document = parse_object(body);
  const json::array* errors = document ? array_member(*document, "errors") : nullptr;
  const json::object* first = errors && !errors->empty() ? errors->front().if_object() : nullptr;
  if (!first) return {};
  return {common::printable(text_member(*first, "code", 1000), 60),
          common::printable(text_member(*first, "message", 4000), 200)};
}

common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context) {
  common::Failure failure = common::status_failure(response.head, context.method, context.url);
  const RegistryError error = parse_registry_error(response.body);
  std::string_view advice;
  if (const common::KnownCode* known = common::find_code(kCodes, error.code)) {
    failure.status = known->status;
    advice = known->advice;
  }
  if (!error.code.empty()) failure.message += ", " + error.code;
  if (!error.message.empty()) failure.message += ": " + error.message;
  if (failure.status == OTAGATE_DENIED) {
    advice =
        context.anonymous
            ? "set 'username' and 'password', or 'docker_config', if the repository is not public"
            : "check 'username' and 'password' (or 'docker_config') and what they may do in this repository";
  }
  if (!advice.empty()) failure.message.append("; ").append(advice);
  return failure;
}

common::Outcome<DrogueMetadata> parse_drogue_metadata(std::string_view text) {
  const auto document = parse_object(text);
  if (!document) return common::fail(OTAGATE_PERMANENT, "the firmware's metadata is no JSON object");
  DrogueMetadata out;
  out.version = text_member(*document, "version", 256);
  if (out.version.empty()) return common::fail(OTAGATE_PERMANENT, "the firmware's metadata has no version");
  out.size = size_member(*document, "size");
  const std::string checksum = text_member(*document, "checksum", 256);
  out.sha256 = sha256_of(checksum);
  if (!checksum.empty() && out.sha256.empty()) {
    return common::fail(OTAGATE_PERMANENT, "the checksum of the firmware's metadata is no SHA-256");
  }
  return out;
}

}  // namespace otagate::oci

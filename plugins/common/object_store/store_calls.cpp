#include "common/object_store/store_calls.hpp"

#include <algorithm>

namespace otagate::common {

void throw_failure(Failure failure) {
  throw sdk::Failure(failure.status, std::move(failure.message), failure.retry_after_ms);
}

std::unique_ptr<HttpClient> make_http_client(const sdk::StoreHost& host) {
  HttpClientOptions options;
  options.ca_file = host.option("ca_file").string("");
  options.proxy = host.option("proxy").string("");
  options.connect_timeout_ms = static_cast<std::uint64_t>(host.option("connect_timeout").integer(10'000));
  options.idle_timeout_ms = static_cast<std::uint64_t>(host.option("idle_timeout").integer(30'000));
  options.low_speed = static_cast<std::uint64_t>(host.option("low_speed").integer(100));
  options.user_agent = "otagate/0.1.0";
  return value_or_throw(HttpClient::create(std::move(options)));
}

bool usable_key(std::string_view key) {
  return !key.empty() && key.size() <= 1024 && key.find('\0') == std::string_view::npos;
}

void check_key(std::string_view key) {
  if (!usable_key(key)) throw sdk::Failure(OTAGATE_INVALID, "a key has 1 to 1,024 bytes and no NUL");
}

bool plain_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string name_for(const sdk::PublishRequest& request) {
  std::string name;
  std::string version;
  for (const auto& [key, value] : request.metadata) {
    if (key == "name") name = value;
    if (key == "version") version = value;
  }
  if (name.empty() || version.empty()) return "sha256/" + std::string(request.sha256);
  // The digest keeps apart what types or variants share a name and version.
  return name + "/" + name + "-" + version + "-" + std::string(request.sha256.substr(0, 12)) + ".bin";
}

}  // namespace otagate::common

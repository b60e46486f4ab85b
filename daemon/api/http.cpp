#include "api/http.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

namespace otagate::api {

namespace {

unsigned status_of(Code code) {
  switch (code) {
    case Code::ok: return 200;
    case Code::invalid: return 400;
    case Code::denied: return 403;
    case Code::not_found: return 404;
    case Code::ambiguous:
    case Code::busy:
    case Code::changed: return 409;
    case Code::precondition: return 412;
    case Code::unsupported: return 501;
    case Code::rejected: return 502;
    case Code::transient:
    case Code::throttled:
    case Code::clock:
    case Code::cancelled: return 503;
    case Code::deadline: return 504;
    case Code::no_space: return 507;
    case Code::permanent: return 502;
    case Code::internal: return 500;
  }
  return 500;
}

std::vector<std::string> split(std::string_view pattern) {
  std::vector<std::string> segments;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // the slash
    const std::size_t end = std::min(pattern.find('/'), pattern.size());
    segments.emplace_back(pattern.substr(0, end));
    pattern.remove_prefix(end);
  }
  return segments;
}

// The values of the {}s, or nothing when the path is another.
std::optional<std::vector<std::string>> match(const std::vector<std::string>& pattern,
                                              const std::vector<std::string>& path) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "{*}") {
      if (i >= path.size()) return std::nullopt;
      values.insert(values.end(), path.begin() + static_cast<std::ptrdiff_t>(i), path.end());
      return values;
    }
    if (i >= path.size()) return std::nullopt;
    if (pattern[i] == "{}")
      values.push_back(path[i]);
    else if (pattern[i] != path[i])
      return std::nullopt;
  }
  if (path.size() != pattern.size()) return std::nullopt;
  return values;
}

}  // namespace

Response error_response(const Error& error) {
  boost::json::object body;
  body["code"] = to_string(error.code());
  body["message"] = error.message();
  Response response;
  response.status = status_of(error.code());
  response.body = boost::json::serialize(body);
  if (error.retry_after_ms() != 0) response.retry_after_s = (error.retry_after_ms() + 999) / 1000;
  return response;
}

void Router::add(std::string method, std::string_view pattern, Handler handler, std::uint64_t max_body) {
  routes_.push_back({std::move(method), split(pattern), std::move(handler), max_body});
}

void Router::add_upload(std::string method, std::string_view pattern, UploadHandler handler) {
  routes_.push_back({std::move(method), split(pattern), {}, kMaxBody, std::move(handler)});
}

const Router::Route* Router::find(std::string_view method, std::string_view target) const {
  const auto url = boost::urls::parse_origin_form(target);
  if (!url) return nullptr;
  std::vector<std::string> path;
  for (const auto segment : url->segments()) path.emplace_back(segment);
  for (const Route& route : routes_) {
    if (route.method == method && match(route.segments, path)) return &route;
  }
  return nullptr;
}

std::uint64_t Router::max_body(std::string_view method, std::string_view target) const {
  const Route* route = find(method, target);
  return route == nullptr ? kMaxBody : route->max_body;
}

bool Router::is_upload(std::string_view method, std::string_view target) const {
  const Route* route = find(method, target);
  return route != nullptr && route->upload;
}

UniqueFd Router::upload(Request request, std::string_view target, std::uint64_t size, Respond respond) const {
  const auto url = boost::urls::parse_origin_form(target);
  const Route* route = find(request.method, target);
  if (!url || route == nullptr || !route->upload) return {};
  std::vector<std::string> path;
  for (const auto segment : url->segments()) path.emplace_back(segment);
  for (const auto parameter : url->params()) request.query.emplace(parameter.key, parameter.value);
  request.path = *match(route->segments, path);
  return route->upload(request, size, std::move(respond));
}

void Router::route(Request request, std::string_view target, Respond respond) const {
  const auto url = boost::urls::parse_origin_form(target);
  if (!url) {
    respond(
        error_response(Error(Code::invalid, "the request target is not a path and query (RFC 9112, 3.2.1)")));
    return;
  }
  std::vector<std::string> path;
  for (const auto segment : url->segments()) path.emplace_back(segment);
  for (const auto parameter : url->params()) request.query.emplace(parameter.key, parameter.value);

  std::string allowed;
  for (const Route& route : routes_) {
    auto values = match(route.segments, path);
    if (!values || route.upload) continue;
    if (route.method != request.method && !(request.method == "HEAD" && route.method == "GET")) {
      allowed += (allowed.empty() ? "" : ", ") + route.method;
      continue;
    }
    request.path = std::move(*values);
    route.handler(request, std::move(respond));
    return;
  }
  if (!allowed.empty()) {
    Response response = error_response(Error(Code::invalid, "this path takes " + allowed));
    response.status = 405;
    respond(std::move(response));
    return;
  }
  respond(error_response(
      Error(Code::not_found, "no such path; GET /api/v1/openapi.json describes those there are")));
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> all;
  for (const Route& route : routes_) {
    std::string text = route.method + " ";
    for (const std::string& segment : route.segments) text += "/" + segment;
    all.push_back(std::move(text));
  }
  return all;
}

std::string media_type(std::string_view header) {
  std::string type(header.substr(0, header.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return type;
}

Result<std::uint64_t> number_parameter(const Request& request, const std::string& key, std::uint64_t fallback,
                                       std::uint64_t least, std::uint64_t most) {
  const std::string_view text = request.parameter(key);
  if (text.empty()) return fallback;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return fail(Code::invalid,
                key + ": write a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

}  // namespace otagate::api

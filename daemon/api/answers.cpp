#include "api/answers.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace otagate::api {

namespace json = boost::json;

Response ok(const json::value& body) { return {200, "application/json", json::serialize(body), 0}; }

Response created(const json::value& body) { return {201, "application/json", json::serialize(body), 0}; }

Backend::Reply<void> answer_done(Respond respond) {
  return [respond = std::move(respond)](Result<void> result) {
    if (!result)
      respond(error_response(result.error()));
    else
      respond(ok(json::object{{"done", true}}));
  };
}

Result<json::object> body_of(const Request& request) {
  if (request.body.empty()) return json::object{};
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  json::value value = json::parse(request.body, error, {}, options);
  if (error || !value.is_object()) return fail(Code::invalid, "the body has to be a JSON object");
  return std::move(value.as_object());
}

std::string text_of(const json::object& body, std::string_view key) {
  const json::value* value = body.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace otagate::api

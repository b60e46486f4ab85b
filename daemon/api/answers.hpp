// What the handlers share: bodies and parameters read, replies of the backend turned into answers.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/backend.hpp"
#include "api/http.hpp"
#include "api/views.hpp"

namespace otagate::api {

inline constexpr std::size_t kPage = 100;
inline constexpr std::size_t kMostPage = 1000;

Response ok(const boost::json::value& body);
Response created(const boost::json::value& body);  // 201

// Each item by its to_json(). (Array is a parameter to be complete only where this is used.)
template <class T, class Array = boost::json::array>
Array array_of(const std::vector<T>& items) {
  Array array;
  array.reserve(items.size());
  for (const T& item : items) array.emplace_back(to_json(item));
  return array;
}

// A reply that turns a value into an answer, or an error into its answer.
template <class T, class Render>
Backend::Reply<T> answer(Respond respond, Render render) {
  return [respond = std::move(respond), render = std::move(render)](Result<T> result) {
    if (!result)
      respond(error_response(result.error()));
    else
      respond(ok(render(*result)));
  };
}

Backend::Reply<void> answer_done(Respond respond);

// The body as an object; an absent one is empty.
Result<boost::json::object> body_of(const Request& request);
// Empty where there is none, or no text.
std::string text_of(const boost::json::object& body, std::string_view key);

// The values of the enumeration as text, for parameters: the first whose to_string() is `text`.
template <class Enum>
bool parse_enum(std::string_view text, Enum last, Enum& out) {
  for (unsigned i = 0; i <= static_cast<unsigned>(last); ++i) {
    if (to_string(static_cast<Enum>(i)) != text) continue;
    out = static_cast<Enum>(i);
    return true;
  }
  return false;
}

}  // namespace otagate::api

#include "fleet_tables.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "json_access.hpp"

namespace otagate::cli {

Result<void> each_page(const Context& context, const std::string& path, const std::string& key,
                       const std::function<void(const boost::json::value&)>& page) {
  std::string next;
  for (;;) {
    const auto answer = context.client().get(next.empty() ? path : path + "&" + key + "=" + encode(next));
    if (!answer) return fail(answer.error());
    if (context.json) std::printf("%s\n", boost::json::serialize(*answer).c_str());
    page(*answer);
    const boost::json::value& more = member(*answer, "next");
    if (more.is_string())
      next = more.as_string();
    else if (more.is_int64() || more.is_uint64())
      next = std::to_string(number(*answer, "next"));
    else
      return {};
  }
}

void print_attempts(const Context& context, const boost::json::value& page) {
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(page).c_str());
    return;
  }
  Table table({"ID", "DEVICE", "DEPLOYMENT", "FIRMWARE", "STATE", "DONE", "BEGAN", "MESSAGE"});
  for (const boost::json::value& attempt : items(page)) {
    const std::int64_t size = number(attempt, "size");
    std::string message = text(attempt, "message");
    if (const std::int64_t code = number(attempt, "code"); code != 0)
      message += (message.empty() ? "code " : ", code ") + std::to_string(code);
    table.add({std::to_string(number(attempt, "id")), text(attempt, "device"),
               std::to_string(number(attempt, "deployment")), text(attempt, "firmware"),
               text(attempt, "state"),
               size > 0 ? std::to_string(number(attempt, "offset") * 100 / size) + "%" : "",
               format_time(number(attempt, "started_ms")), message});
  }
  table.print();
}

}  // namespace otagate::cli

#include "azure/shared_key.hpp"

#include <algorithm>
#include <ctime>
#include <map>

#include "common/object_store/digests.hpp"
#include "common/object_store/text.hpp"

namespace otagate::azure {
namespace {

// Their values, in this order, are the lines after the method. Date stays empty: x-ms-date is signed.
constexpr std::string_view kSigned[] = {
    "content-encoding",  "content-language", "content-length", "content-md5",         "content-type", "date",
    "if-modified-since", "if-match",         "if-none-match",  "if-unmodified-since", "range",
};

std::string_view find(const Params& headers, std::string_view name) {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

std::string rfc1123_date(std::int64_t unix_seconds) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t when = unix_seconds;
  std::tm parts = {};
  gmtime_r(&when, &parts);
  // The names are not those of a locale.
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, ", %d  %Y %H:%M:%S GMT", &parts);
  std::string out = kDays[parts.tm_wday] + std::string(text, size);
  return out.insert(8, kMonths[parts.tm_mon]);
}

std::string string_to_sign(const Signable& what, std::string_view account) {
  std::string out(what.method);
  out += '\n';
  for (const std::string_view name : kSigned) {
    if (name == "content-length") {
      if (what.content_length > 0) out += std::to_string(what.content_length);
    } else {
      out += find(what.headers, name);
    }
    out += '\n';
  }
  const std::map<std::string, std::string> headers(what.headers.begin(), what.headers.end());
  for (const auto& [name, value] : headers) {
    if (name.starts_with("x-ms-")) out.append(name).append(":").append(value).append("\n");
  }
  out.append("/").append(account).append(what.path);
  // Several values of a name are sorted and joined.
  Params query = what.query;
  for (auto& [name, value] : query) name = common::lower_case(name);
  std::sort(query.begin(), query.end());
  std::string_view last;
  for (const auto& [name, value] : query) {
    if (name == last) {
      out.append(",").append(value);
    } else {
      out.append("\n").append(name).append(":").append(value);
    }
    last = name;
  }
  return out;
}

std::string authorization(const Signable& what, std::string_view account, std::string_view key) {
  return "SharedKey " + std::string(account) + ":" +
         common::to_base64(common::hmac_sha256(key, string_to_sign(what, account)));
}

}  // namespace otagate::azure

// What the tests of the store share: its options, and the answers of a server.
#pragma once

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>

#include "common/testing/fake_store_host.hpp"
#include "common/testing/scripted_server.hpp"

namespace otagate::s3 {

using otagate::testing::answer;
using otagate::testing::FakeStoreHost;
using otagate::testing::OptionValue;
using otagate::testing::ScriptedServer;
using otagate::testing::SeenRequest;

inline constexpr char kSecret[] = "very/secret+key";

inline std::map<std::string, OptionValue> options(const std::string& endpoint,
                                                  std::map<std::string, OptionValue> more = {}) {
  more.try_emplace("endpoint", endpoint);
  more.try_emplace("bucket", std::string("fw-bucket"));
  more.try_emplace("access_key", std::string("AKID"));
  more.try_emplace("secret_key", std::string(kSecret));
  return more;
}

inline std::string error(int status, const std::string& code, const std::string& headers = "") {
  return answer(status, "<Error><Code>" + code + "</Code><Message>m</Message></Error>", headers);
}

inline std::string http_date(std::time_t when) {
  std::tm parts = {};
  gmtime_r(&when, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// An object of 1,000 bytes that honours Range and If-Match.
inline std::string serve_object(const SeenRequest& r, const std::string& etag = "\"tag\"") {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += static_cast<char>('a' + i % 26);
  if (r.has("if-match") && r.header("if-match") != etag) return error(412, "PreconditionFailed");
  if (!r.has("range")) return answer(200, body, "ETag: " + etag + "\r\n");
  unsigned long first = 0;
  unsigned long last = 999;
  std::sscanf(r.header("range").c_str(), "bytes=%lu-%lu", &first, &last);
  last = std::min(last, 999ul);
  if (first >= 1000) return error(416, "InvalidRange", "Content-Range: bytes */1000\r\n");
  return answer(206, body.substr(first, last - first + 1),
                "ETag: " + etag + "\r\nContent-Range: bytes " + std::to_string(first) + "-" +
                    std::to_string(last) + "/1000\r\n");
}

}  // namespace otagate::s3

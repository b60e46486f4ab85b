#include "api/http.hpp"

#include <gtest/gtest.h>

namespace otagate::api {
namespace {

struct Seen {
  std::vector<std::string> path;
  unsigned status = 0;
};

Seen ask(const Router& router, std::vector<std::string>& path, std::string method, std::string_view target) {
  Seen seen;
  path.clear();
  Request request;
  request.method = std::move(method);
  router.route(std::move(request), target, [&](Response response) { seen.status = response.status; });
  seen.path = path;
  return seen;
}

TEST(Router, DecodesIdsOfAllKinds) {
  std::vector<std::string> path;
  Router router;
  const auto take = [&](const Request& request, const Respond& respond) {
    path = request.path;
    respond({});
  };
  router.add("GET", "/api/v1/devices/{}", take);
  router.add("GET", "/api/v1/devices/{}/attempts", take);
  const std::pair<const char*, const char*> ids[] = {{"plain-1", "plain-1"},
                                                     {"a%2Fb%2fattempts", "a/b/attempts"},
                                                     {"two%20words", "two words"},
                                                     {"ger%C3%A4t", "ger\xC3\xA4t"},
                                                     {"%2E%2E", ".."},
                                                     {"..", ".."},
                                                     {"a+b", "a+b"},
                                                     {"100%25", "100%"},
                                                     {"%3Fx%23y", "?x#y"},
                                                     {"AA:BB:CC", "AA:BB:CC"}};
  for (const auto& [encoded, id] : ids) {
    const Seen seen = ask(router, path, "GET", "/api/v1/devices/" + std::string(encoded));
    EXPECT_EQ(seen.status, 200u) << encoded;
    EXPECT_EQ(seen.path, std::vector<std::string>{id}) << encoded;
    EXPECT_EQ(ask(router, path, "GET", "/api/v1/devices/" + std::string(encoded) + "/attempts?limit=5").path,
              std::vector<std::string>{id})
        << encoded;
  }
  for (const char* wrong : {"/api/v1/devices/%zz", "/api/v1/devices/%2", "/api/v1/devices/a b"})
    EXPECT_EQ(ask(router, path, "GET", wrong).status, 400u) << wrong;
  EXPECT_EQ(ask(router, path, "GET", "/api/v1/devices/a/b").status, 404u);
  EXPECT_EQ(ask(router, path, "DELETE", "/api/v1/devices/a").status, 405u);
}

TEST(Router, TakesLargeBodiesWhereItWasTold) {
  Router router;
  const auto none = [](const Request&, const Respond&) {};
  router.add("POST", "/lists/{}", none, kMaxLargeBody);
  router.add("POST", "/small", none);
  EXPECT_EQ(router.max_body("POST", "/lists/a%2Fb?dry_run=true"), kMaxLargeBody);
  EXPECT_EQ(router.max_body("GET", "/lists/a"), kMaxBody);
  EXPECT_EQ(router.max_body("POST", "/small"), kMaxBody);
  EXPECT_EQ(router.max_body("POST", "/nothing"), kMaxBody);
  EXPECT_EQ(router.max_body("POST", "%"), kMaxBody);
}

TEST(MediaType, IsWithoutParametersInLowerCase) {
  EXPECT_EQ(media_type("Text/CSV; charset=utf-8"), "text/csv");
  EXPECT_EQ(media_type("application/json"), "application/json");
  EXPECT_EQ(media_type("text/csv ;header=present"), "text/csv");
  EXPECT_EQ(media_type(""), "");
}

}  // namespace
}  // namespace otagate::api

// The plugin as the gateway calls it, against a server that answers as DDI documents it; what hawkBit 0.3.0
// has no word for yet (consent) and what no well-behaved server does are shown here only.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <future>

#include "common/testing/fake_store_host.hpp"
#include "common/testing/scripted_server.hpp"

namespace otagate::hawkbit {
namespace {

namespace json = boost::json;
using testing::Ended;
using testing::FakeStoreHost;
using testing::OptionValue;
using testing::ScriptedServer;
using testing::SeenRequest;

const std::string kRoot = "/DEFAULT/controller/v1/";
const std::string kSha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
const std::string kSha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::chrono::seconds kSoon{20};

std::string base(const std::string& links, const std::string& sleep = "00:00:01") {
  return R"({"config":{"polling":{"sleep":")" + sleep + R"("}},"_links":{)" + links + "}}";
}

std::string link(const std::string& resource, const std::string& rest) {
  return "\"" + resource + R"(":{"href":"http://elsewhere.example)" + kRoot + "pump/" + resource + rest +
         "\"}";
}

std::string deployment(const std::string& id, const std::string& url,
                       const std::string& member = "deployment") {
  return R"({"id":")" + id + R"(",")" + member +
         R"(":{"download":"forced","update":"forced","chunks":[{"part":"os","version":"1.0","name":"app",
          "artifacts":[{"filename":"a.bin","hashes":{"sha1":")" +
         kSha1 + R"(","sha256":")" + kSha256 + R"("},"size":3,"_links":{"download-http":{"href":")" + url +
         R"("}}}]}]}})";
}

// What the server says, by "METHOD path"; changed while it runs. Every POST and PUT is taken where nothing
// else is said.
class Script {
 public:
  Script() : server_([this](const SeenRequest& request) { return answer(request); }) {}

  void say(const std::string& what, const std::string& whole) {
    const std::scoped_lock lock(mutex_);
    answers_[what] = whole;
  }
  void say_json(const std::string& path, const std::string& body) {
    say("GET " + path, testing::answer(200, body, "Content-Type: application/hal+json\r\n"));
  }
  // Waits for the n-th request of that kind.
  std::optional<SeenRequest> wait(const std::string& what, std::size_t count = 1) {
    std::unique_lock lock(mutex_);
    if (!news_.wait_for(lock, kSoon, [&] { return seen_[what].size() >= count; })) return std::nullopt;
    return seen_[what][count - 1];
  }
  std::size_t count(const std::string& what) {
    const std::scoped_lock lock(mutex_);
    return seen_[what].size();
  }
  std::string url(const std::string& path) const { return server_.url(path); }

 private:
  std::string answer(const SeenRequest& request) {
    const std::string what = request.method + " " + request.target;
    const std::scoped_lock lock(mutex_);
    seen_[what].push_back(request);
    news_.notify_all();
    if (const auto found = answers_.find(what); found != answers_.end()) return found->second;
    return testing::answer(request.method == "GET" ? 404 : 200);
  }

  std::mutex mutex_;
  std::condition_variable news_;
  std::map<std::string, std::string> answers_;
  std::map<std::string, std::vector<SeenRequest>> seen_;
  ScriptedServer server_;  // the last: it calls answer()
};

std::map<std::string, OptionValue> options(const Script& server,
                                           std::map<std::string, OptionValue> more = {}) {
  more.emplace("url", server.url(""));
  more.emplace("gateway_token", std::string("gw-secret"));
  more.emplace("poll_min", std::int64_t{20});
  more.emplace("poll_max", std::int64_t{200});
  return more;
}

sdk::Feedback feedback(std::uint32_t kind, std::string_view id = "7") {
  sdk::Feedback said;
  said.kind = kind;
  said.external_id = id;
  said.device = "pump";
  return said;
}

TEST(HawkbitStore, RefusesABadConfigurationWithAdvice) {
  const struct {
    std::map<std::string, OptionValue> options;
    const char* advice;
  } cases[] = {
      {{{"url", std::string("ftp://x")}, {"gateway_token", std::string("t")}}, "'url'"},
      {{{"url", std::string("http://127.0.0.1")}}, "'target_tokens'"},
      {{{"url", std::string("http://u:p@127.0.0.1")}, {"gateway_token", std::string("t")}}, "user"},
      {{{"url", std::string("http://127.0.0.1/DEFAULT/controller/v1")}, {"gateway_token", std::string("t")}},
       "'tenant'"},
      {{{"url", std::string("http://127.0.0.1")}, {"target_tokens", std::string("# tokens\n\na t1\na t2\n")}},
       "line 4"},
      {{{"url", std::string("http://127.0.0.1")}, {"target_tokens", std::string("lonely")}},
       "CONTROLLER-ID TOKEN"},
      {{{"url", std::string("http://127.0.0.1")},
        {"gateway_token", std::string("t")},
        {"poll_min", std::int64_t{9000}},
        {"poll_max", std::int64_t{1000}}},
       "'poll_max'"},
  };
  for (const auto& one : cases) {
    FakeStoreHost host(one.options);
    const Ended made = host.create();
    EXPECT_EQ(made.status, OTAGATE_INVALID);
    EXPECT_NE(made.message.find(one.advice), std::string::npos) << made.message;
  }
}

TEST(HawkbitStore, AnAssignmentIsHandedOnOnceAndItsResultGoesBack) {
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  server.say_json(kRoot + "pump/deploymentBase/7?c=1", deployment("7", server.url("/a.bin")));
  FakeStoreHost host(options(server));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  ASSERT_EQ(host.watch("pump").status, OTAGATE_OK);
  const auto taken = host.assignments().next(kSoon);
  ASSERT_TRUE(taken && !taken->cancelled);
  EXPECT_EQ(taken->wish.external_id, "7");
  EXPECT_EQ(taken->wish.device, "pump");
  ASSERT_EQ(taken->wish.parts.size(), 1u);
  EXPECT_EQ(taken->wish.parts[0].object.sha256, kSha256);
  const auto polled = server.wait("GET " + kRoot + "pump", 4);
  ASSERT_TRUE(polled);
  EXPECT_EQ(polled->header("authorization"), "GatewayToken gw-secret");
  EXPECT_EQ(server.count("GET " + kRoot + "pump/deploymentBase/7?c=1"), 1u)
      << "asked for again without a change";

  // A report changes the state of the link and nothing behind it.
  server.say_json(kRoot + "pump/deploymentBase/7?c=2", deployment("7", server.url("/a.bin")));
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=2")));
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump/deploymentBase/7?c=2"));

  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_SUCCESS)).status, OTAGATE_OK);
  const auto posted = server.wait("POST " + kRoot + "pump/deploymentBase/7/feedback");
  ASSERT_TRUE(posted);
  EXPECT_EQ(json::parse(posted->body).at("status").at("execution").as_string(), "closed");
  EXPECT_EQ(posted->header("content-type"), "application/json");
  // The server has nothing more for it: that is no withdrawal.
  server.say_json(kRoot + "pump", base(""));
  const std::size_t polls = server.count("GET " + kRoot + "pump");
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump", polls + 3));
  EXPECT_FALSE(host.assignments().next(std::chrono::milliseconds(0)));
}

TEST(HawkbitStore, AChangedDeploymentReplacesWhatWasSaid) {
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  server.say_json(
      kRoot + "pump/deploymentBase/7?c=1",
      R"({"id":"7","deployment":{"download":"forced","update":"skip","maintenanceWindow":"unavailable",
                  "chunks":[{"part":"os","version":"1","name":"app","artifacts":[{"filename":"a","hashes":{"sha256":")" +
          kSha256 + R"("},"size":3,"_links":{"download":{"href":"https://cdn.example/a"}}}]}]}})");
  server.say_json(kRoot + "pump/deploymentBase/7?c=2", deployment("7", "https://cdn.example/a"));
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  const auto closed = host.assignments().next(kSoon);
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->wish.window, OTAGATE_WINDOW_CLOSED);
  EXPECT_EQ(closed->wish.mode, OTAGATE_ASSIGN_FORCED);
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=2")));
  const auto open = host.assignments().next(kSoon);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->wish.external_id, "7");
  EXPECT_EQ(open->wish.window, OTAGATE_WINDOW_NONE);
}

TEST(HawkbitStore, ACancelIsToldAndAnsweredEitherWay) {
  for (const auto& [kind, execution] : {std::pair{OTAGATE_FEEDBACK_CANCELLED, "closed"},
                                        std::pair{OTAGATE_FEEDBACK_CANCEL_REFUSED, "rejected"}}) {
    Script server;
    server.say_json(kRoot + "pump", base(link("cancelAction", "/8")));
    server.say_json(kRoot + "pump/cancelAction/8", R"({"id":"8","cancelAction":{"stopId":"7"}})");
    FakeStoreHost host(options(server));
    host.create();
    host.watch("pump");
    const auto taken = host.assignments().next(kSoon);
    ASSERT_TRUE(taken && taken->cancelled);
    EXPECT_EQ(taken->wish.external_id, "7");
    EXPECT_EQ(host.feedback(feedback(kind)).status, OTAGATE_OK);
    const auto posted = server.wait("POST " + kRoot + "pump/cancelAction/8/feedback");
    ASSERT_TRUE(posted);
    EXPECT_EQ(json::parse(posted->body).at("status").at("execution").as_string(), execution);
    EXPECT_EQ(json::parse(posted->body).at("id").as_string(), "8");
  }
}

TEST(HawkbitStore, ACancelOfWhatTheHostNeverHeardOfIsAnsweredAllTheSame) {
  Script server;
  server.say_json(kRoot + "pump", base(link("cancelAction", "/8")));
  server.say_json(kRoot + "pump/cancelAction/8", R"({"id":"8","cancelAction":{"stopId":"7"}})");
  FakeStoreHost host(options(server));
  host.create();
  sdk::Feedback nobody = feedback(OTAGATE_FEEDBACK_CANCELLED);
  nobody.device = "";
  EXPECT_EQ(host.feedback(nobody).status, OTAGATE_NOT_FOUND);
  host.watch("pump");
  ASSERT_TRUE(host.assignments().next(kSoon));
  EXPECT_EQ(host.feedback(nobody).status, OTAGATE_OK);
  EXPECT_TRUE(server.wait("POST " + kRoot + "pump/cancelAction/8/feedback"));
}

TEST(HawkbitStore, WhatWasOnlyToBeDownloadedIsNotWithdrawnOnceItIs) {
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  std::string only = deployment("7", "https://cdn.example/a");
  only.replace(only.find(R"("update":"forced")"), 17, R"("update":"skip")");
  server.say_json(kRoot + "pump/deploymentBase/7?c=1", only);
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  const auto taken = host.assignments().next(kSoon);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->wish.mode, OTAGATE_ASSIGN_DOWNLOAD_ONLY);
  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_DOWNLOADED)).status, OTAGATE_OK);
  server.say_json(kRoot + "pump", base(""));
  const std::size_t polls = server.count("GET " + kRoot + "pump");
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump", polls + 3));
  EXPECT_FALSE(host.assignments().next(std::chrono::milliseconds(0)));
}

TEST(HawkbitStore, WhatIsTakenAwayByForceIsWithdrawn) {
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  server.say_json(kRoot + "pump/deploymentBase/7?c=1", deployment("7", "https://cdn.example/a"));
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  ASSERT_TRUE(host.assignments().next(kSoon));
  server.say_json(kRoot + "pump", base(""));
  const auto taken = host.assignments().next(kSoon);
  ASSERT_TRUE(taken && taken->cancelled);
  EXPECT_EQ(taken->wish.external_id, "7");
}

TEST(HawkbitStore, AsksForConsentAndGoesOnWhenItIsGiven) {
  Script server;
  server.say_json(kRoot + "pump", base(link("confirmationBase", "/7?c=1")));
  server.say_json(kRoot + "pump/confirmationBase/7?c=1",
                  deployment("7", "https://cdn.example/a", "confirmation"));
  server.say_json(kRoot + "pump/deploymentBase/7?c=1", deployment("7", "https://cdn.example/a"));
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  const auto waiting = host.assignments().next(kSoon);
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->wish.needs_confirm);
  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_CONFIRMED)).status, OTAGATE_OK);
  const auto posted = server.wait("POST " + kRoot + "pump/confirmationBase/7/feedback");
  ASSERT_TRUE(posted);
  EXPECT_EQ(json::parse(posted->body).at("confirmation").as_string(), "confirmed");
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  const auto agreed = host.assignments().next(kSoon);
  ASSERT_TRUE(agreed);
  EXPECT_FALSE(agreed->wish.needs_confirm);
  EXPECT_EQ(agreed->wish.external_id, "7");
  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_DENIED)).status, OTAGATE_OK);
  EXPECT_TRUE(server.wait("POST " + kRoot + "pump/confirmationBase/7/feedback", 2));
}

TEST(HawkbitStore, AttributesGoWhenAskedForAndWhenTheyChange) {
  Script server;
  server.say_json(kRoot + "pump", base(link("configData", "")));
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump", {{"type", "esp32"}, {"version", "1.0"}});
  const auto asked = server.wait("PUT " + kRoot + "pump/configData");
  ASSERT_TRUE(asked);
  EXPECT_EQ(json::parse(asked->body),
            json::parse(R"({"mode":"replace","data":{"type":"esp32","version":"1.0"}})"));
  server.say_json(kRoot + "pump", base(""));
  std::size_t polls = server.count("GET " + kRoot + "pump");
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump", polls + 3));
  const std::size_t sent = server.count("PUT " + kRoot + "pump/configData");
  host.watch("pump", {{"type", "esp32"}, {"version", "1.0"}});
  host.watch("pump", {{"type", "esp32"}, {"version", "2.0"}});
  const auto changed = server.wait("PUT " + kRoot + "pump/configData", sent + 1);
  ASSERT_TRUE(changed);
  EXPECT_EQ(json::parse(changed->body).at("data").at("version").as_string(), "2.0");
  polls = server.count("GET " + kRoot + "pump");
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump", polls + 3));
  EXPECT_EQ(server.count("PUT " + kRoot + "pump/configData"), sent + 1);
}

TEST(HawkbitStore, WhatCannotBeInstalledFailsAtTheServerWithTheReason) {
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  server.say_json(kRoot + "pump/deploymentBase/7?c=1",
                  R"({"id":"7","deployment":{"download":"forced","update":"forced","chunks":[]}})");
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  const auto posted = server.wait("POST " + kRoot + "pump/deploymentBase/7/feedback");
  ASSERT_TRUE(posted);
  const json::value status = json::parse(posted->body).at("status");
  EXPECT_EQ(status.at("result").at("finished").as_string(), "failure");
  EXPECT_NE(json::serialize(status.at("details")).find("no artifact"), std::string::npos);
  EXPECT_TRUE(host.wait([](const FakeStoreHost& seen) {
    return std::find(seen.events().begin(), seen.events().end(), "assignment_refused") != seen.events().end();
  }));
  const std::size_t polls = server.count("GET " + kRoot + "pump");
  ASSERT_TRUE(server.wait("GET " + kRoot + "pump", polls + 3));
  EXPECT_EQ(server.count("POST " + kRoot + "pump/deploymentBase/7/feedback"), 1u);
}

TEST(HawkbitStore, ProgressIsNoReportPerBlock) {
  Script server;
  FakeStoreHost host(options(server));
  host.create();
  host.watch("pump");
  sdk::Feedback said = feedback(OTAGATE_FEEDBACK_PROGRESS);
  said.total = 1'000'000;
  for (said.done = 0; said.done <= said.total; said.done += 500)
    ASSERT_EQ(host.feedback(said).status, OTAGATE_OK);
  EXPECT_EQ(server.count("POST " + kRoot + "pump/deploymentBase/7/feedback"), 101u);
  for (int i = 0; i < 500; ++i) {
    said.done = static_cast<std::uint64_t>(i % 2) * 500'000;
    host.feedback(said);
  }
  EXPECT_EQ(server.count("POST " + kRoot + "pump/deploymentBase/7/feedback"), 200u);
}

TEST(HawkbitStore, WhatTheServerIsDoneWithIsNotFound) {
  Script server;
  FakeStoreHost host(options(server));
  host.create();
  server.say("POST " + kRoot + "pump/deploymentBase/7/feedback", testing::answer(410));
  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_SUCCESS)).status, OTAGATE_NOT_FOUND);
  server.say("POST " + kRoot + "pump/cancelAction/7/feedback",
             testing::answer(405, R"({"message":"The action is not in canceling state."})"));
  EXPECT_EQ(host.feedback(feedback(OTAGATE_FEEDBACK_CANCELLED)).status, OTAGATE_NOT_FOUND);
  const Ended strange = host.feedback(feedback(OTAGATE_FEEDBACK_SUCCESS, "no-such-assignment"));
  EXPECT_EQ(strange.status, OTAGATE_NOT_FOUND);
  EXPECT_EQ(server.count("POST " + kRoot + "pump/deploymentBase/no-such-assignment/feedback"), 0u);
}

TEST(HawkbitStore, PatienceIsAskedForOnceForAllTargets) {
  Script server;
  server.say("GET " + kRoot + "a", testing::answer(429, "", "Retry-After: 2\r\n"));
  server.say("GET " + kRoot + "b", testing::answer(429, "", "Retry-After: 2\r\n"));
  server.say("POST " + kRoot + "pump/deploymentBase/7/feedback",
             testing::answer(429, "", "Retry-After: 3\r\n"));
  FakeStoreHost host(options(server, {{"poll_parallel", std::int64_t{1}}}));
  host.create();
  host.watch("a");
  ASSERT_TRUE(server.wait("GET " + kRoot + "a"));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(host.wait([](const FakeStoreHost& seen) { return seen.health() == OTAGATE_BUSY; }));
  host.watch("b");
  const Ended said = host.list();
  EXPECT_EQ(said.status, OTAGATE_THROTTLED);
  EXPECT_EQ(said.retry_after_ms, 2000u);
  ASSERT_TRUE(server.wait("GET " + kRoot + "b"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1900));
  const Ended posted = host.feedback(feedback(OTAGATE_FEEDBACK_FAILURE));
  EXPECT_EQ(posted.status, OTAGATE_THROTTLED);
  EXPECT_EQ(posted.retry_after_ms, 3000u);
}

TEST(HawkbitStore, OneTargetThatIsRefusedIsNoTroubleOfTheStore) {
  Script server;
  server.say_json(kRoot + "good", base(""));
  server.say("GET " + kRoot + "bad", testing::answer(401));
  FakeStoreHost host(options(server, {{"target_tokens", std::string("bad wrong-token\n")}}));
  host.create();
  host.watch("good");
  ASSERT_TRUE(server.wait("GET " + kRoot + "good"));
  host.watch("bad");
  ASSERT_TRUE(server.wait("GET " + kRoot + "bad", 2));
  EXPECT_EQ(server.wait("GET " + kRoot + "bad")->header("authorization"), "TargetToken wrong-token");
  EXPECT_EQ(server.wait("GET " + kRoot + "good")->header("authorization"), "GatewayToken gw-secret");
  EXPECT_TRUE(host.wait([](const FakeStoreHost& seen) {
    return std::find(seen.events().begin(), seen.events().end(), "target_refused") != seen.events().end();
  }));
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  host.unwatch("good");
  ASSERT_TRUE(host.wait([](const FakeStoreHost& seen) { return seen.health() == OTAGATE_DENIED; }));
  const Ended said = host.list();
  EXPECT_EQ(said.status, OTAGATE_DENIED);
  EXPECT_NE(said.message.find("'target_tokens'"), std::string::npos) << said.message;
  host.wait([](const FakeStoreHost& seen) {
    for (const std::string& line : seen.logs())
      EXPECT_EQ(line.find("wrong-token"), std::string::npos) << line;
    return true;
  });
}

TEST(HawkbitStore, AnotherHostNeverSeesATokenNorDoesARedirect) {
  Script server;
  Script elsewhere;
  elsewhere.say("GET /a.bin", testing::answer(200, "abc", "ETag: \"of-the-cdn\"\r\n"));
  server.say("GET /moved.bin", testing::answer(302, "", "Location: " + elsewhere.url("/a.bin") + "\r\n"));
  server.say("GET " + kRoot + "pump/softwaremodules/1/artifacts/a.bin",
             testing::answer(200, "abc", "ETag: " + kSha1 + "\r\n"));
  FakeStoreHost host(options(server, {{"target_tokens", std::string("pump own-token\n")}}));
  host.create();
  const std::string token = kSha1 + "/3";
  for (const std::string& url : {elsewhere.url("/a.bin"), server.url("/moved.bin"),
                                 server.url(kRoot + "pump/softwaremodules/1/artifacts/a.bin")}) {
    const testing::Fetched fetched = host.fetch("k", token, 0, 3, {}, {}, url);
    EXPECT_EQ(fetched.status, OTAGATE_OK) << fetched.message;
    EXPECT_EQ(fetched.bytes, "abc");
  }
  EXPECT_EQ(elsewhere.count("GET /a.bin"), 2u);
  for (std::size_t i = 1; i <= 2; ++i) EXPECT_FALSE(elsewhere.wait("GET /a.bin", i)->has("authorization"));
  EXPECT_EQ(server.wait("GET /moved.bin")->header("authorization"), "GatewayToken gw-secret");
  EXPECT_EQ(server.wait("GET " + kRoot + "pump/softwaremodules/1/artifacts/a.bin")->header("authorization"),
            "TargetToken own-token");
}

TEST(HawkbitStore, OtherBytesAreNeverTaken) {
  Script server;
  FakeStoreHost host(options(server));
  host.create();
  const std::string token = kSha1 + "/3";
  const std::string url = server.url("/a.bin");
  server.say("GET /a.bin", testing::answer(200, "xyz", "ETag: " + std::string(40, '0') + "\r\n"));
  testing::Fetched fetched = host.fetch("k", token, 0, 3, {}, {}, url);
  EXPECT_EQ(fetched.status, OTAGATE_CHANGED);
  EXPECT_EQ(fetched.bytes, "");
  server.say("GET /a.bin", testing::answer(200, "abcd"));
  EXPECT_EQ(host.fetch("k", token, 0, 3, {}, {}, url).status, OTAGATE_CHANGED);
  server.say("GET /a.bin", testing::answer(206, "bc", "Content-Range: bytes 1-2/3\r\n"));
  fetched = host.fetch("k", token, 1, 2, {}, {}, url);
  EXPECT_EQ(fetched.status, OTAGATE_OK) << fetched.message;
  EXPECT_EQ(fetched.bytes, "bc");
  EXPECT_EQ(host.fetch("never-assigned", token, 0, 3).status, OTAGATE_NOT_FOUND);
}

TEST(HawkbitStore, TheSameArtifactOfManyTargetsIsOneObjectWithEightPlaces) {
  Script server;
  constexpr int kTargets = 20;
  for (int i = 0; i < kTargets; ++i) {
    const std::string name = "t" + std::to_string(i);
    server.say_json(kRoot + name, R"({"_links":{"deploymentBase":{"href":"http://x/deploymentBase/)" +
                                      std::to_string(100 + i) + R"(?c=1"}}})");
    server.say_json(kRoot + name + "/deploymentBase/" + std::to_string(100 + i) + "?c=1",
                    deployment(std::to_string(100 + i), server.url("/" + name)));
  }
  FakeStoreHost host(options(server));
  host.create();
  for (int i = 0; i < kTargets; ++i) host.watch("t" + std::to_string(i));
  std::set<std::string> keys;
  std::size_t most = 0;
  for (int i = 0; i < kTargets; ++i) {
    const auto taken = host.assignments().next(kSoon);
    ASSERT_TRUE(taken);
    const sdk::Object& object = taken->wish.parts.at(0).object;
    keys.insert(object.key);
    EXPECT_EQ(object.locators.front(), server.url("/" + taken->wish.device));
    most = std::max(most, object.locators.size());
  }
  EXPECT_EQ(keys.size(), 1u);
  EXPECT_EQ(most, 8u);
}

TEST(HawkbitStore, IsGoneAtOnceWhilePollsHang) {
  std::promise<void> asked;
  std::promise<void> over;
  std::shared_future<void> released = over.get_future().share();
  ScriptedServer server([&, first = true](const SeenRequest&) mutable {
    if (std::exchange(first, false)) asked.set_value();
    released.wait();
    return testing::answer(404);
  });
  std::chrono::steady_clock::time_point begin;
  {
    FakeStoreHost host({{"url", server.url("")}, {"gateway_token", std::string("t")}});
    EXPECT_EQ(host.create().status, OTAGATE_OK);
    host.watch("pump");
    EXPECT_EQ(asked.get_future().wait_for(kSoon), std::future_status::ready);
    begin = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
  over.set_value();
}

TEST(HawkbitStore, ComponentsAreMappedByTheirRules) {
  using Rules = std::vector<std::map<std::string, std::string>>;
  Script server;
  server.say_json(kRoot + "pump", base(link("deploymentBase", "/7?c=1")));
  server.say_json(kRoot + "pump/deploymentBase/7?c=1", deployment("7", "https://cdn.example/a"));
  FakeStoreHost host(
      options(server, {{"components", Rules{{{"part", "os"}, {"file", "other"}, {"component", ""}},
                                            {{"part", "os"}, {"component", "modem"}}}}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  host.watch("pump");
  const auto taken = host.assignments().next(kSoon);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->wish.parts.at(0).component, "modem");
  FakeStoreHost twice(options(server, {{"components", Rules{{{"part", "os"}, {"component", "a"}},
                                                            {{"part", "os"}, {"component", "b"}}}}}));
  EXPECT_EQ(twice.create().status, OTAGATE_INVALID);
}

}  // namespace
}  // namespace otagate::hawkbit

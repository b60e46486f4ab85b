// What a registry may do that no real one does on demand: redirects, realms, lies about sizes and digests.
#include "oci/oci_store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/testing/fake_store_host.hpp"
#include "common/testing/scripted_server.hpp"
#include "oci/sha256.hpp"

namespace otagate::oci {
namespace {

using testing::answer;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::OptionValue;
using testing::ScriptedServer;
using testing::SeenRequest;

constexpr const char* kPassword = "correct-horse";

class Host : public testing::FakeStoreHost {
 public:
  explicit Host(const std::string& url, std::map<std::string, OptionValue> more = {})
      : FakeStoreHost(with(url, std::move(more))) {}

 private:
  static std::map<std::string, OptionValue> with(const std::string& url,
                                                 std::map<std::string, OptionValue> more) {
    more.emplace("registry", url);
    more.emplace("repositories", std::vector<std::string>{"vendor/fw"});
    more.emplace("referrers", false);
    return more;
  }
};

// One repository with one tag and one blob, answered by the specification; `before` may answer otherwise.
class Repository {
 public:
  explicit Repository(std::string blob) : blob_(std::move(blob)) {}

  std::string digest() const { return digest_of(blob_); }
  std::string manifest() const {
    return R"({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {)"
           R"("mediaType": "application/vnd.x", "digest": ")" +
           digest_of("{}") +
           R"(", "size": 2}, "layers": [{)"
           R"("mediaType": "application/octet-stream", "digest": ")" +
           digest() + R"(", "size": )" + std::to_string(blob_.size()) + "}]}";
  }
  std::string token() const { return digest_of(manifest()); }

  std::string operator()(const SeenRequest& request) const {
    const std::string& path = request.target;
    if (path.starts_with("/v2/vendor/fw/tags/list")) return answer(200, R"({"tags": ["1.0.0"]})");
    if (path == "/v2/vendor/fw/manifests/1.0.0" || path == "/v2/vendor/fw/manifests/" + token()) {
      const std::string head =
          "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: " + token() +
          "\r\n";
      if (request.method == "HEAD") {
        return "HTTP/1.1 200 OK\r\n" + head + "Content-Length: " + std::to_string(manifest().size()) +
               "\r\n\r\n";
      }
      return answer(200, manifest(), head);
    }
    if (path == "/v2/vendor/fw/blobs/" + digest()) return bytes(request);
    return answer(404, R"({"errors": [{"code": "MANIFEST_UNKNOWN"}]})");
  }

  std::string bytes(const SeenRequest& request) const {
    const std::string range = request.header("range");
    if (range.empty()) return answer(200, blob_);
    const std::size_t dash = range.find('-');
    const auto first = static_cast<std::size_t>(std::atoll(range.c_str() + 6));
    const auto last = std::min<std::size_t>(static_cast<std::size_t>(std::atoll(range.c_str() + dash + 1)),
                                            blob_.size() - 1);
    return answer(206, blob_.substr(first, last - first + 1),
                  "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                      std::to_string(blob_.size()) + "\r\n");
  }

 private:
  std::string blob_;
};

TEST(OciStore, RefusesABadConfigurationWithAdvice) {
  const struct {
    std::map<std::string, OptionValue> options;
    const char* expected;
  } cases[] = {
      {{{"registry", std::string("registry.example")}}, "registry.example"},
      {{{"registry", std::string("https://registry.example/v2")}}, "'registry'"},
      {{{"registry", std::string("https://u:correct-horse@registry.example")}}, "'registry'"},
      {{{"repositories", std::vector<std::string>{}}}, "'repositories'"},
      {{{"repositories", std::vector<std::string>{"A"}}}, "'repositories'"},
      {{{"username", std::string("u")}}, "'password'"},
      {{{"username", std::string("u")},
        {"password", std::string(kPassword)},
        {"docker_config", std::string("{}")}},
       "not both"},
      {{{"docker_config", std::string("nonsense")}}, "'docker_config'"},
      {{{"token_realms", std::vector<std::string>{"auth.example"}}}, "'token_realms'"},
      {{{"publish_repository", std::string("A")}}, "'publish_repository'"},
  };
  for (const auto& c : cases) {
    Host host("http://127.0.0.1:1", c.options);
    const auto made = host.create();
    EXPECT_EQ(made.status, OTAGATE_INVALID) << c.expected;
    EXPECT_THAT(made.message, HasSubstr(c.expected));
    EXPECT_THAT(made.message, Not(HasSubstr(kPassword)));
  }
}

TEST(OciStore, BlobsFromAnotherHostAreFetchedWithoutCredentials) {
  const Repository repository(std::string(5000, 'f'));
  ScriptedServer cdn([&](const SeenRequest& request) { return repository.bytes(request); });
  ScriptedServer server([&](const SeenRequest& request) {
    if (!request.has("authorization")) return answer(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    if (request.target.find("/blobs/") == std::string::npos) return repository(request);
    return answer(307, "", "Location: " + cdn.url("/store/blob?X-Signature=s3cr3t") + "\r\n");
  });
  Host host(server.url(""), {{"username", std::string("gateway")}, {"password", std::string(kPassword)}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all();
  ASSERT_EQ(listed.status, OTAGATE_OK) << listed.message;
  ASSERT_EQ(listed.objects.size(), 1u);
  EXPECT_EQ(listed.objects[0].key, "vendor/fw:1.0.0");
  EXPECT_EQ("sha256:" + listed.objects[0].sha256, repository.digest());
  const auto got = host.fetch("vendor/fw:1.0.0", listed.objects[0].change_token, 1000, 500);
  ASSERT_EQ(got.status, OTAGATE_OK) << got.message;
  EXPECT_EQ(got.bytes, std::string(500, 'f'));
  EXPECT_EQ(got.total, 5000u);
  const auto seen = cdn.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_FALSE(seen[0].has("authorization"));
  EXPECT_EQ(seen[0].header("range"), "bytes=1000-1499");
}

TEST(OciStore, CredentialsGoToNoRealmOfAnotherHost) {
  ScriptedServer attacker([](const SeenRequest&) { return answer(200, R"({"token": "t"})"); });
  ScriptedServer server([&](const SeenRequest&) {
    return answer(401, "",
                  "WWW-Authenticate: Bearer realm=\"" + attacker.url("/token") + "\",service=\"s\"\r\n");
  });
  Host host(server.url(""), {{"username", std::string("gateway")}, {"password", std::string(kPassword)}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all();
  EXPECT_EQ(listed.status, OTAGATE_DENIED);
  EXPECT_THAT(listed.message, HasSubstr("'token_realms'"));
  EXPECT_TRUE(attacker.seen().empty());
}

TEST(OciStore, OneTokenServesUntilItEnds) {
  const Repository repository("bytes");
  ScriptedServer* self = nullptr;
  std::atomic<int> tokens = 0;
  std::atomic<bool> revoked = false;
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.target.starts_with("/token"))
      return answer(200, R"({"token": "t)" + std::to_string(++tokens) + R"("})");
    if (request.header("authorization") == "Bearer t1" && !revoked) return repository(request);
    if (request.header("authorization") == "Bearer t2") return repository(request);
    return answer(401, "",
                  "WWW-Authenticate: Bearer realm=\"" + self->url("/token") + "\",service=\"s\"\r\n");
  });
  self = &server;
  Host host(server.url(""));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  ASSERT_EQ(host.list_all().status, OTAGATE_OK);
  EXPECT_EQ(host.fetch("vendor/fw:1.0.0", repository.token()).bytes, "bytes");
  EXPECT_EQ(tokens, 1);
  revoked = true;
  const auto again = host.fetch("vendor/fw:1.0.0", repository.token());
  EXPECT_EQ(again.bytes, "bytes") << again.message;
  EXPECT_EQ(tokens, 2);
}

TEST(OciStore, RefusesAManifestOfAnotherDigest) {
  const Repository repository("bytes");
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.method == "GET" && request.target.find("/manifests/") != std::string::npos) {
      return answer(200, repository.manifest() + " ");
    }
    return repository(request);
  });
  Host host(server.url(""));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all();
  EXPECT_EQ(listed.status, OTAGATE_TRANSIENT);
  EXPECT_THAT(listed.message, HasSubstr("digest"));
}

TEST(OciStore, BlobsAreNotBelievedToBeLarger) {
  const std::string blob(1000, 'f');
  const Repository repository(blob);
  std::string reply;
  ScriptedServer server([&](const SeenRequest& request) {
    return request.target.find("/blobs/") == std::string::npos ? repository(request) : reply;
  });
  Host host(server.url(""));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const std::string key = "vendor/fw:1.0.0";

  reply = "HTTP/1.1 200 OK\r\n\r\n" + blob + std::string(1 << 20, 'x');
  const auto endless = host.fetch(key, repository.token());
  EXPECT_EQ(endless.status, OTAGATE_OK);
  EXPECT_EQ(endless.bytes, blob);

  reply = answer(200, blob + "x");
  EXPECT_EQ(host.fetch(key, repository.token()).status, OTAGATE_PERMANENT);

  reply = answer(200, blob);
  const auto ignored = host.fetch(key, repository.token(), 10, 10);
  EXPECT_EQ(ignored.status, OTAGATE_UNSUPPORTED);
  EXPECT_THAT(ignored.message, HasSubstr("'ranges'"));

  reply = answer(206, "0123456789", "Content-Range: bytes 0-9/1000\r\n");
  EXPECT_EQ(host.fetch(key, repository.token(), 10, 10).status, OTAGATE_TRANSIENT);

  reply = "HTTP/1.1 200 OK\r\n\r\nshort";
  EXPECT_EQ(host.fetch(key, repository.token()).status, OTAGATE_TRANSIENT);

  reply = answer(302, "", "Location: " + server.url("/v2/vendor/fw/blobs/loop") + "\r\n");
  EXPECT_NE(host.fetch(key, repository.token()).status, OTAGATE_OK);
}

TEST(OciStore, EndsAListOfTagsThatTurnsInCircles) {
  ScriptedServer server([](const SeenRequest& request) {
    if (request.method == "HEAD") return answer(404);
    return answer(200, R"({"tags": ["a"]})", "Link: </v2/vendor/fw/tags/list?last=a>; rel=\"next\"\r\n");
  });
  Host host(server.url(""));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list_all().status, OTAGATE_PERMANENT);
}

TEST(OciStore, FollowsNoNextPageToAnotherHost) {
  ScriptedServer other([](const SeenRequest&) { return answer(200, R"({"tags": ["b"]})"); });
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.method == "HEAD") return answer(404);
    return answer(200, R"({"tags": ["a"]})",
                  "Link: <" + other.url("/v2/x/tags/list") + ">; rel=\"next\"\r\n");
  });
  Host host(server.url(""));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list_all().status, OTAGATE_PERMANENT);
  EXPECT_TRUE(other.seen().empty());
}

TEST(OciStore, AsksTheReferrersApiOnceForEachManifest) {
  const Repository repository("bytes");
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.target != "/v2/vendor/fw/referrers/" + repository.token()) return repository(request);
    return answer(
        200,
        R"({"schemaVersion": 2, "manifests": [{"mediaType": "m", "size": 1, "artifactType": "sig/x", "digest": ")" +
            repository.digest() + R"("}]})",
        "Content-Type: application/vnd.oci.image.index.v1+json\r\n");
  });
  Host host(server.url(""), {{"referrers", true}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  for (int i = 0; i < 3; ++i) {
    const auto listed = host.list_all();
    ASSERT_EQ(listed.objects.size(), 1u) << listed.message;
    EXPECT_THAT(listed.objects[0].metadata,
                ::testing::Contains(::testing::Pair("referrers", "sig/x " + repository.digest())));
  }
  int asked = 0;
  int manifests = 0;
  for (const SeenRequest& request : server.seen()) {
    asked += request.target.find("/referrers/") != std::string::npos;
    manifests += request.method == "GET" && request.target.find("/manifests/") != std::string::npos;
  }
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(manifests, 1);
}

TEST(OciStore, UploadsOnlyToTheRegistryItself) {
  ScriptedServer other([](const SeenRequest&) { return answer(201); });
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.method == "POST") return answer(202, "", "Location: " + other.url("/upload") + "\r\n");
    return answer(404);
  });
  Host host(server.url(""), {{"publish", true}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const auto made = host.publish(fd, 4, std::string(64, 'a'), "", {{"version", "1.0.0"}});
  close(fd);
  EXPECT_EQ(made.status, OTAGATE_PERMANENT);
  EXPECT_TRUE(other.seen().empty());
}

}  // namespace
}  // namespace otagate::oci

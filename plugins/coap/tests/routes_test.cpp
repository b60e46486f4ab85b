#include "routes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "fake_gateway.hpp"

namespace otagate::coap {
namespace {

using std::chrono::seconds;

Peer peer(std::uint16_t port) {
  Peer out;
  out.port = port;
  return out;
}

class RoutesTest : public testing::Test {
 protected:
  void make(RouteSettings settings) { routes_.emplace(gateway_, std::move(settings), 1); }
  void SetUp() override { make({}); }

  Found get(const std::vector<std::string_view>& segments, std::uint64_t offset = 0, std::uint16_t port = 1) {
    return get_with_mid(segments, offset, port, ++mid_);
  }
  Found get_with_mid(const std::vector<std::string_view>& segments, std::uint64_t offset, std::uint16_t port,
                     std::uint16_t mid) {
    path_.clear();
    for (const auto segment : segments) path_.add_segment(segment);
    const auto target = path_.target();
    const auto from = peer(port);
    return routes_->find(Ask{
        .target = target, .key = path_.key(target), .peer = from, .offset = offset, .mid = mid, .now = now_});
  }
  static std::string tag_of(const Found& found) {
    if (!found.entity)
      return "problem " + std::to_string(found.problem.code >> 5) + "." +
             std::to_string(found.problem.code & 31);
    for (const auto* tag : {"A", "B", "C"}) {
      if (found.entity->etag == etag_of(tag)) return tag;
    }
    return "?";
  }

  FakeGateway gateway_;
  std::optional<Routes> routes_;
  PathParser path_;
  Routes::Clock::time_point now_{seconds(1000)};
  std::uint16_t mid_ = 0;
};

const std::vector<std::string_view> kApp{"firmware", "app", "1"};
const std::vector<std::string_view> kLatest{"firmware", "app", "latest"};

TEST_F(RoutesTest, ResolvesAndOpensOnceForAllPeers) {
  gateway_.add("app", "1", "A");
  for (std::uint16_t port = 1; port <= 50; ++port) {
    EXPECT_EQ(tag_of(get(kApp, 0, port)), "A");
    EXPECT_EQ(tag_of(get(kApp, 1024, port)), "A");
  }
  EXPECT_EQ(gateway_.resolves, 1);
  EXPECT_EQ(gateway_.opens, 1);
}

TEST_F(RoutesTest, KeepsTheReaderWhenTheCatalogMovesAndTheTagStays) {
  gateway_.add("app", "1", "A");
  get(kApp);
  gateway_.add("other", "1", "B");
  EXPECT_EQ(tag_of(get(kApp)), "A");
  EXPECT_EQ(gateway_.resolves, 2);
  EXPECT_EQ(gateway_.opens, 1);
}

TEST_F(RoutesTest, SaysWhatIsNotThere) {
  EXPECT_EQ(tag_of(get(kApp)), "problem 4.4");
  EXPECT_EQ(tag_of(get(kApp)), "problem 4.4");
  EXPECT_EQ(gateway_.resolves, 1);
  gateway_.add("app", "1", "A");
  EXPECT_EQ(tag_of(get(kApp)), "A");
}

TEST_F(RoutesTest, ListsTheChoices) {
  gateway_.add("app", "1", "A");
  gateway_.ambiguous = true;
  const auto found = get(kApp);
  ASSERT_TRUE(found.entity);
  EXPECT_EQ(found.entity->code, code_of(4, 9));
  EXPECT_EQ(found.entity->format, kJson);
}

TEST_F(RoutesTest, AnswersNotYetWithTheHostsEstimate) {
  gateway_.add("app", "1", "A").firmware.flags = 0;
  gateway_.open_status = OTAGATE_DEADLINE;
  gateway_.retry_after_ms = 12'300;
  get(kApp);
  const auto found = get(kApp);
  EXPECT_EQ(found.problem.code, code_of(5, 3));
  EXPECT_EQ(found.problem.max_age, 13U);
  EXPECT_EQ(gateway_.opens, 1);
  now_ += seconds(10);
  EXPECT_EQ(get(kApp).problem.max_age, 3U);
  now_ += seconds(3);
  gateway_.open_status = OTAGATE_OK;
  get(kApp);
  EXPECT_EQ(tag_of(get(kApp)), "A");
}

TEST_F(RoutesTest, BoundsMaxAgeToAMinute) {
  gateway_.add("app", "1", "A");
  gateway_.open_status = OTAGATE_TRANSIENT;
  gateway_.retry_after_ms = 86'400'000;
  EXPECT_EQ(get(kApp).problem.max_age, 60U);
}

TEST_F(RoutesTest, DoesNotWaitForAFill) {
  gateway_.add("app", "1", "A").firmware.flags = 0;
  const auto begin = Routes::Clock::now();
  get(kApp);
  gateway_.held = true;
  gateway_.add("other", "1", "B");  // moves the catalog version
  EXPECT_EQ(get({"firmware", "never", "1"}).problem.code, code_of(5, 3));
  EXPECT_LT(Routes::Clock::now() - begin, seconds(1));
}

TEST_F(RoutesTest, LimitsHowLongASilentHostHoldsUpTheListener) {
  gateway_.held = true;
  const auto begin = Routes::Clock::now();
  for (int i = 0; i < 40; ++i) {
    const auto name = "n" + std::to_string(i);
    EXPECT_EQ(get({"firmware", name, "1"}).problem.code, code_of(5, 3));
  }
  // 40 x 200 ms would be eight seconds: the credit ends it after one.
  EXPECT_LT(Routes::Clock::now() - begin, seconds(4));
}

TEST_F(RoutesTest, TellsRejectedFromMissing) {
  gateway_.add("app", "1", "A");
  gateway_.open_status = OTAGATE_REJECTED;
  EXPECT_EQ(tag_of(get(kApp)), "problem 5.2");
}

TEST_F(RoutesTest, NeverMixesWhenAPathGetsNewBytes) {
  gateway_.add("app", "1", "A");
  EXPECT_EQ(tag_of(get(kApp, 0, 1)), "A");
  EXPECT_EQ(tag_of(get(kApp, 0, 2)), "A");
  gateway_.add("app", "1", "B");
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "A");  // refresh under way or not: what it began with
  EXPECT_EQ(tag_of(get(kApp, 0, 3)), "B");
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "A");
  EXPECT_EQ(tag_of(get(kApp, 1024, 2)), "A");
  EXPECT_EQ(tag_of(get(kApp, 1024, 3)), "B");
  EXPECT_EQ(tag_of(get(kApp, 0, 1)), "B");  // starts over
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "B");
}

TEST_F(RoutesTest, NeverMixesOverTwoChanges) {
  gateway_.add("app", "1", "A");
  get(kApp, 0, 1);
  gateway_.add("app", "1", "B");
  get(kApp, 0, 2);
  gateway_.add("app", "1", "C");
  EXPECT_EQ(tag_of(get(kApp, 0, 3)), "C");
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "A");
  EXPECT_EQ(tag_of(get(kApp, 1024, 2)), "B");
  EXPECT_EQ(tag_of(get(kApp, 1024, 3)), "C");
}

TEST_F(RoutesTest, LetsGoOfOldBytesAfterAMinute) {
  gateway_.add("app", "1", "A");
  get(kApp, 0, 1);
  gateway_.add("app", "1", "B");
  get(kApp, 0, 2);
  EXPECT_EQ(gateway_.readers, 2);
  now_ += seconds(61);
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "B");
  routes_->sweep(now_);
  EXPECT_EQ(gateway_.readers, 1);
}

TEST_F(RoutesTest, GoesOnWhenTheFirmwareIsWithdrawnInMidTransfer) {
  gateway_.add("app", "1", "A");
  get(kApp, 0, 1);
  gateway_.remove("app", "1");
  EXPECT_EQ(tag_of(get(kApp, 0, 2)), "problem 4.4");
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "A");
}

TEST_F(RoutesTest, PinsLatestPerPeer) {
  gateway_.add("app", "1", "A");
  gateway_.latest = "1";
  EXPECT_EQ(tag_of(get(kLatest, 0, 1)), "A");
  gateway_.add("app", "2", "B");
  gateway_.latest = "2";
  EXPECT_EQ(tag_of(get(kLatest, 0, 2)), "B");
  EXPECT_EQ(tag_of(get(kLatest, 1024, 1)), "A");
  EXPECT_EQ(tag_of(get(kLatest, 1024, 2)), "B");
  now_ += seconds(59);
  EXPECT_EQ(tag_of(get(kLatest, 2048, 1)), "A");
  now_ += seconds(61);
  routes_->sweep(now_);
  EXPECT_EQ(tag_of(get(kLatest, 3072, 1)), "B");
}

TEST_F(RoutesTest, TreatsADuplicateOfBlockZeroAsTheSameTransfer) {
  gateway_.add("app", "1", "A");
  gateway_.latest = "1";
  EXPECT_EQ(tag_of(get_with_mid(kLatest, 0, 1, 77)), "A");
  gateway_.add("app", "2", "B");
  gateway_.latest = "2";
  EXPECT_EQ(tag_of(get_with_mid(kLatest, 0, 1, 77)), "A");
  EXPECT_EQ(tag_of(get_with_mid(kLatest, 0, 1, 78)), "B");
}

TEST_F(RoutesTest, ForgetsIdleRoutesAndClosesTheirReaders) {
  gateway_.add("app", "1", "A");
  get(kApp);
  EXPECT_TRUE(routes_->busy());
  now_ += seconds(61);
  routes_->sweep(now_);
  EXPECT_EQ(gateway_.readers, 0);
  EXPECT_FALSE(routes_->busy());
}

TEST_F(RoutesTest, BoundsTheNumberOfRoutes) {
  gateway_.add("app", "1", "A");
  get(kApp);
  for (std::size_t i = 0; i < 2 * Routes::kMaxRoutes; ++i) {
    const auto name = "n" + std::to_string(i);
    get({"firmware", name, "1"});
  }
  EXPECT_EQ(gateway_.readers, 0);
  EXPECT_EQ(tag_of(get(kApp)), "A");
}

TEST_F(RoutesTest, OpensAnewWhatCannotBeRead) {
  gateway_.add("app", "1", "A");
  const auto found = get(kApp);
  path_.clear();
  for (const auto segment : kApp) path_.add_segment(segment);
  const auto target = path_.target();
  const auto from = peer(1);
  std::array<std::uint8_t, 16> block{};
  EXPECT_EQ(found.entity->read(0, block), ReadState::kUnreadable);  // the fake's descriptor is -1
  ASSERT_EQ(gateway_.reported_bad.size(), 1U);
  EXPECT_NE(gateway_.reported_bad[0].find("Bad file descriptor"), std::string::npos);
  routes_->drop(
      Ask{.target = target, .key = path_.key(target), .peer = from, .offset = 0, .mid = 1, .now = now_},
      found.entity.get());
  EXPECT_EQ(tag_of(get(kApp, 1024)), "A");
  EXPECT_EQ(gateway_.opens, 2);
}

TEST_F(RoutesTest, OpensAnewWhatTheHostFoundBad) {
  auto& image = gateway_.add("app", "1", "A");
  get(kApp);
  image.page.state = OTAGATE_BLOB_FAILED;
  get(kApp);
  EXPECT_EQ(gateway_.opens, 2);
  EXPECT_EQ(tag_of(get(kApp)), "problem 5.3");
}

TEST_F(RoutesTest, TellsOfNewsInKeptCatalogsOnly) {
  gateway_.add("app", "1", "A");
  get({"firmware"});
  gateway_.add("app", "2", "B");
  routes_->refresh_kept(now_);
  gateway_.run_pending();
  EXPECT_FALSE(routes_->take_kept_news());

  path_.clear();
  path_.add_segment("firmware");
  routes_->keep(path_.key(path_.target()));
  routes_->refresh_kept(now_);
  gateway_.run_pending();
  EXPECT_TRUE(routes_->take_kept_news());
  EXPECT_FALSE(routes_->take_kept_news());
  routes_->refresh_kept(now_);
  gateway_.run_pending();
  EXPECT_FALSE(routes_->take_kept_news());
}

TEST_F(RoutesTest, LinksTheNextPage) {
  gateway_.add("app", "1", "A");
  gateway_.cursor = "a b";
  const auto found = get({"firmware?name=app&limit=5"});
  ASSERT_TRUE(found.entity);
  const auto& text = dynamic_cast<const Document&>(*found.entity).text();
  EXPECT_NE(text.find("\"next\":\"/firmware?name=app&limit=5&cursor=a%20b\""), std::string::npos) << text;
}

TEST_F(RoutesTest, LowersTheBlockSizePerType) {
  make({.max_szx = 6, .max_szx_of_type = {{"nrf", 5}}, .stream = false});
  gateway_.add("app", "1", "A").firmware.type = "nrf";
  EXPECT_EQ(get(kApp).entity->max_szx, 5U);
  gateway_.add("app", "2", "B").firmware.type = "esp";
  EXPECT_EQ(get({"firmware", "app", "2"}).entity->max_szx, 6U);
}

TEST_F(RoutesTest, OpensPerTransferWhenStreaming) {
  make({.max_szx = 6, .max_szx_of_type = {}, .stream = true});
  gateway_.add("app", "1", "A").page.state = OTAGATE_BLOB_FILLING;
  EXPECT_EQ(tag_of(get(kApp, 0, 1)), "A");
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "A");
  EXPECT_EQ(tag_of(get(kApp, 0, 2)), "A");
  EXPECT_EQ(gateway_.opened_peers, (std::vector<std::string>{"[::]:1", "[::]:2"}));
  EXPECT_EQ(gateway_.readers, 2);
}

TEST_F(RoutesTest, SaysThatAPeerHoldsBadBytes) {
  make({.max_szx = 6, .max_szx_of_type = {}, .stream = true});
  auto& image = gateway_.add("app", "1", "A");
  image.page.state = OTAGATE_BLOB_FILLING;
  get(kApp, 0, 1);
  image.page.state = OTAGATE_BLOB_FAILED;
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "problem 5.2");
  gateway_.open_status = OTAGATE_PRECONDITION;
  EXPECT_EQ(tag_of(get(kApp, 1024, 1)), "problem 4.12");
  image.page.state = OTAGATE_BLOB_VERIFIED;
  gateway_.open_status = OTAGATE_OK;
  EXPECT_EQ(tag_of(get(kApp, 0, 1)), "A");
}

TEST_F(RoutesTest, ClosesAReaderThatComesTooLate) {
  gateway_.add("app", "1", "A").firmware.flags = 0;
  gateway_.held = true;
  get(kApp);
  routes_->clear();
  gateway_.held = false;
  gateway_.run_pending();
  EXPECT_EQ(gateway_.readers, 0);
}

}  // namespace
}  // namespace otagate::coap

#include "plugin/transport_bridge.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.hpp"

namespace otagate::plugin {
namespace {

using testing::Answer;
using testing::eventually;
using testing::Listener;
using testing::milliseconds;

constexpr milliseconds kLong{20'000};

class FakeBlob : public Blob {
 public:
  explicit FakeBlob(std::atomic<int>& open, std::string& bad) : open_(open), bad_(bad) {
    ++open_;
    fd_ = ::memfd_create("blob", MFD_CLOEXEC);
    EXPECT_EQ(::write(fd_, "0123456789", 10), 10);
    page_.size = sizeof page_;
    page_.ready = 10;
    page_.state = OTAGATE_BLOB_VERIFIED;
  }
  ~FakeBlob() override {
    ::close(fd_);
    --open_;
  }
  int fd() const override { return fd_; }
  const otagate_blob_page* page() const override { return &page_; }
  std::string tag() const override { return "tag"; }
  std::string sha256() const override { return ""; }
  std::uint64_t size() const override { return 10; }
  void want(std::uint64_t offset, std::uint64_t min_length, milliseconds,
            Reply<std::uint64_t> reply) override {
    if (min_length > 1000) {
      held_ = std::move(reply);  // never answered while it is open
      return;
    }
    reply(offset + min_length > 10 ? 0 : 10 - offset);
  }
  void report_bad(std::string_view why) override { bad_ = why; }

 private:
  std::atomic<int>& open_;
  std::string& bad_;
  int fd_ = -1;
  otagate_blob_page page_{};
  Reply<std::uint64_t> held_;
};

class Services : public TransportServices {
 public:
  void check_credential(std::string_view, Credential credential, Reply<Principal> reply) override {
    reply(Principal{credential.secret == "token" ? 5u : 0u, "dev", "board"});
  }
  void psk(std::string_view, std::string identity, Reply<Psk> reply) override {
    reply(Psk{"key of " + identity, 1});
  }
  void resolve(std::string_view, ResolveRequest request, Reply<std::vector<Firmware>> reply) override {
    if (request.name == "missing")
      return reply(Error(Code::not_found, "gone").with_retry_after(77) | as_failure);
    Firmware one;
    one.id = 7;
    one.name = request.name;
    one.version = "1.2.3";
    one.tag = "t";
    one.size = 10;
    std::vector<Firmware> out{one};
    if (request.name == "ambiguous") out.push_back(one);
    // From another thread, as a gateway does it.
    threads_.emplace_back([out, reply] { reply(out); });
  }
  void catalog(std::string_view, CatalogRequest request, Reply<CatalogPage> reply) override {
    limit = request.limit;
    CatalogPage page;
    page.items.resize(3);
    page.cursor = "more";
    reply(page);
  }
  void open(std::string_view, OpenRequest request, bool streaming,
            Reply<std::shared_ptr<Blob>> reply) override {
    verified_only = request.verified_only;
    streamed = streaming;
    reply(std::shared_ptr<Blob>(std::make_shared<FakeBlob>(open_blobs, bad)));
  }
  void presign(std::string_view, RedirectRequest request, Reply<std::string> reply) override {
    reply(std::string("https://store/") + (request.head ? "head" : "get"));
  }
  void check_in(std::string_view, CheckIn check_in, Reply<Offer> reply) override {
    if (check_in.device == "slow") {
      held_ = std::move(reply);  // a long poll that the gateway does not end
      return;
    }
    Offer offer;
    offer.attempt = 42;
    offer.lease = milliseconds(30'000);
    offer.parts.resize(2);
    offer.parts[0].firmware = 7;
    offer.parts[1].component = "modem";
    offer.parts[1].params = {{"slot", "S1"}};
    versions = check_in.versions;
    attributes = check_in.attributes;
    reply(offer);
  }
  void progress(std::string_view, Progress progress, Reply<std::uint32_t> reply) override {
    if (!progress.resume_token.empty()) token = progress.resume_token;
    reply(OTAGATE_CONTINUE);
  }
  ~Services() override {
    for (std::thread& thread : threads_) thread.join();
  }

  std::atomic<int> open_blobs{0};
  std::string bad;
  bool verified_only = false;
  bool streamed = true;
  std::uint32_t limit = 0;
  Pairs versions, attributes;
  std::string token;

 private:
  struct AsFailure {};
  static constexpr AsFailure as_failure{};
  friend Result<std::vector<Firmware>> operator|(Error error, AsFailure) { return fail(std::move(error)); }
  std::vector<std::thread> threads_;
  Reply<Offer> held_;
};

class TransportBridgeTest : public ::testing::Test {
 protected:
  TransportBridgeTest() {
    testing::install(folder_.path(), "chatty", {}, "transport");
    registry_ = std::make_unique<Registry>(testing::settings(folder_.path()), listener_);
    registry_->scan();
  }
  ~TransportBridgeTest() override { registry_.reset(); }

  std::shared_ptr<TransportInstance> start(const std::string& play) {
    auto made = registry_->create_transport(
        {"t", "chatty", std::make_shared<testing::Options>(testing::Options{{"play", play}})}, services_);
    EXPECT_TRUE(made) << made.error().message();
    Answer<void> started;
    (*made)->start(kLong, started.reply());
    const auto result = started.get();
    EXPECT_TRUE(result) << result.error().message();
    return *made;
  }
  void close(const std::shared_ptr<TransportInstance>& transport, milliseconds drain = milliseconds(500)) {
    std::promise<void> done;
    transport->close(drain, [&] { done.set_value(); });
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }

  testing::TempDir folder_;
  Listener listener_;
  Services services_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(TransportBridgeTest, EverythingTheGatewayOffersArrives) {
  auto transport = start("walk");
  EXPECT_TRUE(transport->streaming());
  EXPECT_EQ(listener_.wait("principal"), "5devboard");
  EXPECT_EQ(listener_.wait("psk"), "key of identity");
  EXPECT_EQ(listener_.wait("resolved"), "sensor1.2.3t10");
  EXPECT_EQ(listener_.wait("catalog"), "3more");
  EXPECT_EQ(services_.limit, 1000u) << "the limit is clamped";
  EXPECT_EQ(listener_.wait("presigned"), "https://store/head");
  EXPECT_EQ(listener_.wait("offer"), "42:30000:modemS1");
  EXPECT_EQ(services_.versions, (Pairs{{"main", "1.0"}}));
  EXPECT_EQ(services_.attributes, (Pairs{{"rssi", "-60"}}));
  EXPECT_EQ(listener_.wait("opened"), "tag10:10:1");
  EXPECT_TRUE(services_.verified_only);
  EXPECT_FALSE(services_.streamed);
  EXPECT_EQ(listener_.wait("want"), "0");
  EXPECT_EQ(listener_.wait("read"), "0123456789");
  EXPECT_EQ(listener_.wait("progress"), "0");
  EXPECT_EQ(services_.token, "r1");
  EXPECT_EQ(listener_.wait("final"), "0");
  EXPECT_EQ(listener_.wait("part_after_end"), std::to_string(OTAGATE_NOT_FOUND));
  EXPECT_EQ(services_.bad, "flipped");
  EXPECT_TRUE(eventually([&] { return services_.open_blobs == 0; }));
  close(transport);
}

TEST_F(TransportBridgeTest, ErrorsKeepTheirStatusAndBoundsAreChecked) {
  auto transport = start("errors");
  EXPECT_EQ(listener_.wait("ambiguous"), std::to_string(OTAGATE_AMBIGUOUS) + ":2");
  EXPECT_EQ(listener_.wait("missing"), std::to_string(OTAGATE_NOT_FOUND) + ":gone:77");
  EXPECT_EQ(listener_.wait("long"), std::to_string(OTAGATE_INVALID));
  EXPECT_EQ(listener_.wait("token"), std::to_string(OTAGATE_INVALID));
  EXPECT_EQ(transport->status().counters.oversize, 2u);
}

TEST_F(TransportBridgeTest, ClosedAndMadeUpReadersAreIgnored) {
  auto transport = start("bad_handles");
  EXPECT_EQ(listener_.wait("fd"), "good");
  EXPECT_EQ(listener_.wait("want"), std::to_string(OTAGATE_CANCELLED)) << "closing a reader ends its wants";
  EXPECT_EQ(transport->status().counters.stray, 1u);
  EXPECT_TRUE(eventually([&] { return services_.open_blobs == 0; }));
}

TEST_F(TransportBridgeTest, AReaderThatIsNotClosedIsTakenBackAtTheEnd) {
  auto transport = start("keep_reader");
  EXPECT_EQ(transport->status().open_readers, 1u);
  EXPECT_EQ(services_.open_blobs, 1);
  close(transport);
  EXPECT_EQ(services_.open_blobs, 0);
}

TEST_F(TransportBridgeTest, WhatThePluginWaitsForIsCancelledAtTheEnd) {
  auto transport = start("long_poll");
  EXPECT_EQ(listener_.count("long_poll"), 0u);
  close(transport);
  EXPECT_EQ(listener_.wait("long_poll"), std::to_string(OTAGATE_CANCELLED));
  EXPECT_EQ(listener_.wait("timer"), std::to_string(OTAGATE_CANCELLED));
  EXPECT_EQ(transport->status().state, InstanceState::stopped);
}

TEST_F(TransportBridgeTest, TimersFireOrAreCancelledOnce) {
  auto transport = start("timers");
  EXPECT_EQ(listener_.wait("timer"), std::to_string(OTAGATE_OK));
  EXPECT_EQ(listener_.wait("cancelled"), std::to_string(OTAGATE_CANCELLED));
  close(transport);
  EXPECT_EQ(listener_.count("timer"), 1u);
  EXPECT_EQ(listener_.count("cancelled"), 1u);
}

TEST_F(TransportBridgeTest, WhatACallbackThrowsGoesNowhere) {
  auto transport = start("throw_in_reply");
  close(transport);
  EXPECT_EQ(transport->status().state, InstanceState::stopped);
  EXPECT_EQ(transport->status().counters.thrown, 0u) << "the SDK keeps it on the plugin's side";
}

TEST_F(TransportBridgeTest, HintsArrive) {
  auto transport = start("idle");
  transport->nudge("dev-1");
  EXPECT_EQ(listener_.wait("nudge"), "dev-1");
  transport->revoke(42, OTAGATE_REVOKED_SUPERSEDED);
  EXPECT_EQ(listener_.wait("revoke"), "42:1");
  for (int i = 0; i < 50; ++i) transport->catalog_changed();
  EXPECT_EQ(listener_.wait("catalog_changed"), "50") << "one call for fifty changes";
  EXPECT_EQ(listener_.count("catalog_changed"), 1u);
  Answer<void> reloaded;
  transport->reload(kLong, reloaded.reply());
  EXPECT_TRUE(reloaded.get());
}

TEST_F(TransportBridgeTest, HealthIsShown) {
  auto transport = start("busy");
  EXPECT_EQ(listener_.wait("state:waiting"), "port 1 is taken");
  EXPECT_EQ(transport->status().state, InstanceState::waiting);
}

TEST_F(TransportBridgeTest, ATransportThatDoesNotStopIsLeftBehind) {
  auto transport = start("no_stop");
  close(transport, milliseconds(100));
  EXPECT_EQ(transport->status().state, InstanceState::hung);
}

}  // namespace
}  // namespace otagate::plugin

#include "gateway/journal.hpp"

#include <gtest/gtest.h>

#include <future>

#include "state/fills.hpp"
#include "state/versions.hpp"
#include "unit/state/support.hpp"

namespace otagate::gateway {
namespace {

class Journals : public state::StateTest {
 protected:
  void SetUp() override {
    state::StateTest::SetUp();
    journal_.set_store("near", near_);
  }
  cache::BlobRecord blob(std::int64_t verified_ms) {
    cache::BlobRecord record;
    record.digest = state::digest_of("image");
    record.size = 5;
    record.identity = {1, 2, 5, 4, 5};
    record.level = cache::VerifyLevel::digest;
    record.verified_ms = verified_ms;
    return record;
  }
  void added(const cache::BlobRecord& record) {
    std::promise<void> done;
    journal_.blob_added(record, std::nullopt, [&](Result<void> outcome) {
      EXPECT_TRUE(outcome);
      done.set_value();
    });
    done.get_future().wait();
  }
  cache::BlobRecord known() {
    write([](state::Writer&) -> Result<void> { return {}; });  // what is queued goes first
    const auto blobs = state::must(Journal::known_blobs(*db_));
    EXPECT_EQ(blobs.size(), 1U);
    return blobs.at(0);
  }

  EventLog events_{*db_};
  Journal journal_{*db_, events_, [] {}};
};

// Else the scrub hashes everything again after each restart.
TEST_F(Journals, RemembersWhenABlobWasLastHashed) {
  added(blob(1000));
  EXPECT_EQ(known().verified_ms, 1000);
  EXPECT_EQ(known().level, cache::VerifyLevel::digest);

  cache::BlobRecord again = blob(5000);
  again.identity.inode = 77;
  journal_.blob_verified(again);
  EXPECT_EQ(known().verified_ms, 5000);
  EXPECT_EQ(known().identity.inode, 77U);

  journal_.blob_verified(blob(0));  // hashed by a clock that nobody trusts
  EXPECT_EQ(known().verified_ms, 5000);
}

TEST_F(Journals, AStoreThatWasRemovedHoldsNothingBack) {
  EXPECT_FALSE(journal_.may_expire(state::digest_of("image")));
  journal_.set_listed("near", true);
  EXPECT_TRUE(journal_.may_expire(state::digest_of("image")));
  journal_.set_listed("near", false);
  EXPECT_FALSE(journal_.may_expire(state::digest_of("image")));
  journal_.remove_store("near");
  EXPECT_TRUE(journal_.may_expire(state::digest_of("image")));
  journal_.set_listed("near", false);  // its last listing ends late
  EXPECT_TRUE(journal_.may_expire(state::digest_of("image")));
}

// Who asks between the verdict and its commit must not start another fill.
TEST_F(Journals, ARejectionCountsBeforeItIsDurable) {
  const cache::FillKey key{"near", "a.bin", "1", std::nullopt};
  const cache::FillKey other{"near", "a.bin", "2", std::nullopt};
  std::promise<void> release;
  db_->write([&](state::Writer&) -> Result<void> {
    release.get_future().wait();  // the database is busy
    return {};
  });
  journal_.fill_ended(key, "id", Code::rejected, "why");
  EXPECT_TRUE(journal_.rejecting(key));
  EXPECT_FALSE(journal_.rejecting(other));
  release.set_value();
  write([](state::Writer&) -> Result<void> { return {}; });
  EXPECT_FALSE(journal_.rejecting(key));
  EXPECT_TRUE(read([&](state::Reader& r) {
    return state::find_rejection(r, {near_, "a.bin", "1"}, std::nullopt);
  }));
}

TEST_F(Journals, AFillThatOutlivesItsStoreIsStillClosed) {
  const cache::FillKey key{"near", "a.bin", "1", std::nullopt};
  const auto open = [&] { return read([](state::Reader& r) { return state::open_fills(r); }).size(); };
  journal_.fill_started(key, "id", 5);
  write([](state::Writer&) -> Result<void> { return {}; });  // behind it in the queue
  EXPECT_EQ(open(), 1U);
  journal_.remove_store("near");
  journal_.fill_ended(key, "id", Code::rejected, "why");
  write([](state::Writer&) -> Result<void> { return {}; });
  EXPECT_EQ(open(), 0U);
}

}  // namespace
}  // namespace otagate::gateway

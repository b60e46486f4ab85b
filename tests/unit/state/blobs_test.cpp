#include "state/blobs.hpp"

#include <gmock/gmock.h>

#include <algorithm>

#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Blobs : public StateTest {
 protected:
  Digest add(const char* bytes, std::int64_t used_sequence = 1) {
    const Digest digest = digest_of(bytes);
    write([&](Writer& w) {
      return put_blob(w, {.digest = digest, .size = 100, .added_ms = 5, .used_sequence = used_sequence});
    });
    return digest;
  }
  std::vector<Digest> evictable(std::int64_t after = 0) {
    std::vector<Digest> list;
    for (const Blob& blob : read([&](Reader& r) { return page_evictable(r, after, 10); }))
      list.push_back(blob.digest);
    return list;
  }
};

TEST_F(Blobs, KeepEveryField) {
  const Blob blob{.digest = digest_of("a"),
                  .size = std::uint64_t{1} << 40,
                  .added_ms = 1,
                  .used_sequence = 2,
                  .used_ms = 3,
                  .state = BlobState::quarantined,
                  .reason = "why",
                  .file = {~std::uint64_t{0}, std::uint64_t{1} << 63, -1, 7}};
  write([&](Writer& w) { return put_blob(w, blob); });
  const auto found = *read([&](Reader& r) { return find_blob(r, blob.digest); });
  EXPECT_EQ(found.size, blob.size);
  EXPECT_EQ(found.state, BlobState::quarantined);
  EXPECT_EQ(found.reason, "why");
  EXPECT_EQ(found.file, blob.file);
  EXPECT_EQ(found.used_ms, 3);
  EXPECT_FALSE(read([](Reader& r) { return find_blob(r, digest_of("b")); }));
}

TEST_F(Blobs, ArePagedByDigestAndTotalled) {
  std::vector<Digest> all = {add("a", 7), add("b", 9), add("c", 8)};
  std::sort(all.begin(), all.end());
  std::vector<Digest> paged;
  std::optional<Digest> after;
  while (true) {
    const auto page = read([&](Reader& r) { return page_blobs(r, after, 2); });
    if (page.empty()) break;
    for (const Blob& blob : page) paged.push_back(blob.digest);
    after = paged.back();
  }
  EXPECT_EQ(paged, all);
  const auto totals = read([](Reader& r) { return total_blobs(r); });
  EXPECT_EQ(totals.blobs, 3U);
  EXPECT_EQ(totals.bytes, 300U);
  EXPECT_EQ(totals.last_used_sequence, 9);
}

TEST_F(Blobs, EvictableAreUnpinnedAndSoundLeastRecentlyUsedFirst) {
  const Digest old = add("old", 1);
  const Digest pinned = add("pinned", 2);
  const Digest bad = add("bad", 3);
  const Digest fresh = add("fresh", 4);
  write([&](Writer& w) { return put_pin(w, {pinned, "operator", "keep", 0}); });
  write([&](Writer& w) { return quarantine_blob(w, bad, "hash differs"); });
  EXPECT_THAT(evictable(), ElementsAre(old, fresh));
  const BlobUse uses[] = {{old, 10, 99}, {fresh, 3, 99}};  // the second is older than what is known
  write([&](Writer& w) { return touch_blobs(w, uses); });
  EXPECT_THAT(evictable(), ElementsAre(fresh, old));
  EXPECT_THAT(evictable(4), ElementsAre(old));
}

TEST_F(Blobs, VerificationIsPerPolicyAndGoesWithTheBlob) {
  const Digest digest = add("a");
  write([&](Writer& w) { return put_verification(w, digest, "require=digest", Verified::digest, 1); });
  write([&](Writer& w) { return put_verification(w, digest, "key=1", Verified::signature, 1); });
  const auto found = [&](const char* policy) {
    return read([&](Reader& r) { return find_verification(r, digest, policy); });
  };
  const auto level = [&](const char* policy) -> std::optional<Verified> {
    const auto verification = found(policy);
    return verification ? std::optional(verification->level) : std::nullopt;
  };
  EXPECT_EQ(level("require=digest"), Verified::digest);
  EXPECT_EQ(level("key=1"), Verified::signature);
  EXPECT_EQ(found("key=1")->wall_ms, 1);
  write([&](Writer& w) { return put_verification(w, digest, "key=1", Verified::signature, 0); });
  EXPECT_EQ(found("key=1")->wall_ms, 1);  // no clock, no new time
  EXPECT_EQ(level("key=2"), std::nullopt);

  add("a", 2);  // adopted once more: what is known of it stays
  EXPECT_EQ(level("key=1"), Verified::signature);
  write([&](Writer& w) { return quarantine_blob(w, digest, "bad"); });
  EXPECT_EQ(level("key=1"), std::nullopt);
  write([&](Writer& w) { return delete_blob(w, digest); });
  EXPECT_FALSE(
      db_->write_sync([&](Writer& w) { return put_verification(w, digest, "p", Verified::digest, 1); }));
}

TEST_F(Blobs, PinsHaveOwnersAndMayComeBeforeTheBytes) {
  const Digest digest = digest_of("later");
  write([&](Writer& w) { return put_pin(w, {digest, "operator", "keep", 1}); });
  write([&](Writer& w) { return put_pin(w, {digest, "deployment:7", "wanted", 2}); });
  write([&](Writer& w) { return put_pin(w, {digest, "operator", "keep it", 3}); });
  add("later");
  EXPECT_EQ(read([&](Reader& r) { return find_blob(r, digest); })->pins, 2);
  EXPECT_TRUE(write([&](Writer& w) { return delete_pin(w, digest, "deployment:7"); }));
  EXPECT_FALSE(write([&](Writer& w) { return delete_pin(w, digest, "deployment:7"); }));
  const auto pins = read([&](Reader& r) { return pins_of(r, digest); });
  ASSERT_THAT(pins, SizeIs(1));
  EXPECT_EQ(pins[0].reason, "keep it");
  write([&](Writer& w) { return delete_blob(w, digest); });
  EXPECT_THAT(read([&](Reader& r) { return pins_of(r, digest); }), SizeIs(1));
}

TEST_F(Blobs, FileStampIsWrittenAlone) {
  const Digest digest = add("a");
  write([&](Writer& w) { return set_blob_file(w, digest, {1, 2, 3, 4}); });
  EXPECT_EQ(read([&](Reader& r) { return find_blob(r, digest); })->file, (FileStamp{1, 2, 3, 4}));
  EXPECT_EQ(read([&](Reader& r) { return find_blob(r, digest); })->size, 100U);
}

}  // namespace
}  // namespace otagate::state

// The vectors of RFC 8949, appendix A, and what a hostile peer may send.
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "common/testing/hex.hpp"

namespace otagate::plugins::cbor {
namespace {

using otagate::testing::from_hex;
using otagate::testing::to_hex;
using Values = std::vector<Value>;

Value u(std::uint64_t number) { return Value::unsigned_of(number); }
Value n(std::int64_t number) { return Value::integer(number); }
Value t(std::string_view text) { return Value::text(text); }
Value r(double number) { return Value::of_real(number); }
Value a(Values items) { return Value::array(std::move(items)); }
Value m(Values items) { return Value::map(std::move(items)); }
Value b(std::string_view hex) { return Value::bytes(from_hex(hex)); }

struct Vector {
  const char* hex;
  Value value;
  bool canonical = true;  // our encoder writes it the same way
};

Values one_to(std::uint64_t last) {
  Values out;
  for (std::uint64_t i = 1; i <= last; ++i) out.push_back(u(i));
  return out;
}

std::vector<Vector> appendix_a() {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {
      {"00", u(0)},
      {"01", u(1)},
      {"0a", u(10)},
      {"17", u(23)},
      {"1818", u(24)},
      {"1819", u(25)},
      {"1864", u(100)},
      {"1903e8", u(1000)},
      {"1a000f4240", u(1000000)},
      {"1b000000e8d4a51000", u(1000000000000)},
      {"1bffffffffffffffff", u(18446744073709551615ULL)},
      {"c249010000000000000000", Value::tagged(2, b("010000000000000000"))},
      {"3bffffffffffffffff", {Kind::negative_integer, 18446744073709551615ULL, 0, {}, {}}},
      {"c349010000000000000000", Value::tagged(3, b("010000000000000000"))},
      {"20", n(-1)},
      {"29", n(-10)},
      {"3863", n(-100)},
      {"3903e7", n(-1000)},
      {"f90000", r(0.0), false},
      {"f98000", r(-0.0), false},
      {"f93c00", r(1.0), false},
      {"fb3ff199999999999a", r(1.1)},
      {"f93e00", r(1.5), false},
      {"f97bff", r(65504.0), false},
      {"fa47c35000", r(100000.0)},
      {"fa7f7fffff", r(3.4028234663852886e+38)},
      {"fb7e37e43c8800759c", r(1.0e+300)},
      {"f90001", r(5.960464477539063e-8), false},
      {"f90400", r(0.00006103515625), false},
      {"f9c400", r(-4.0), false},
      {"fbc010666666666666", r(-4.1)},
      {"f97c00", r(infinity), false},
      {"f97e00", r(nan), false},
      {"f9fc00", r(-infinity), false},
      {"fa7f800000", r(infinity)},
      {"fa7fc00000", r(nan)},
      {"faff800000", r(-infinity)},
      {"fb7ff0000000000000", r(infinity), false},
      {"fb7ff8000000000000", r(nan), false},
      {"fbfff0000000000000", r(-infinity), false},
      {"f4", Value::boolean(false)},
      {"f5", Value::boolean(true)},
      {"f6", Value::null()},
      {"f7", Value()},
      {"c074323031332d30332d32315432303a30343a30305a", Value::tagged(0, t("2013-03-21T20:04:00Z"))},
      {"c11a514b67b0", Value::tagged(1, u(1363896240))},
      {"c1fb41d452d9ec200000", Value::tagged(1, r(1363896240.5))},
      {"d74401020304", Value::tagged(23, b("01020304"))},
      {"d818456449455446", Value::tagged(24, b("6449455446"))},
      {"d82076687474703a2f2f7777772e6578616d706c652e636f6d", Value::tagged(32, t("http://www.example.com"))},
      {"40", b("")},
      {"4401020304", b("01020304")},
      {"60", t("")},
      {"6161", t("a")},
      {"6449455446", t("IETF")},
      {"62225c", t("\"\\")},
      {"62c3bc", t("\xc3\xbc")},
      {"63e6b0b4", t("\xe6\xb0\xb4")},
      {"64f0908591", t("\xf0\x90\x85\x91")},
      {"80", a({})},
      {"83010203", a({u(1), u(2), u(3)})},
      {"8301820203820405", a({u(1), a({u(2), u(3)}), a({u(4), u(5)})})},
      {"98190102030405060708090a0b0c0d0e0f101112131415161718181819", a(one_to(25))},
      {"a0", m({})},
      {"a201020304", m({u(1), u(2), u(3), u(4)})},
      {"a26161016162820203", m({t("a"), u(1), t("b"), a({u(2), u(3)})})},
      {"826161a161626163", a({t("a"), m({t("b"), t("c")})})},
      {"a56161614161626142616361436164614461656145",
       m({t("a"), t("A"), t("b"), t("B"), t("c"), t("C"), t("d"), t("D"), t("e"), t("E")})},
      {"5f42010243030405ff", b("0102030405"), false},
      {"7f657374726561646d696e67ff", t("streaming"), false},
      {"9fff", a({}), false},
      {"9f018202039f0405ffff", a({u(1), a({u(2), u(3)}), a({u(4), u(5)})}), false},
      {"9f01820203820405ff", a({u(1), a({u(2), u(3)}), a({u(4), u(5)})}), false},
      {"83018202039f0405ff", a({u(1), a({u(2), u(3)}), a({u(4), u(5)})}), false},
      {"83019f0203ff820405", a({u(1), a({u(2), u(3)}), a({u(4), u(5)})}), false},
      {"9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", a(one_to(25)), false},
      {"bf61610161629f0203ffff", m({t("a"), u(1), t("b"), a({u(2), u(3)})}), false},
      {"826161bf61626163ff", a({t("a"), m({t("b"), t("c")})}), false},
      {"bf6346756ef563416d7421ff", m({t("Fun"), Value::boolean(true), t("Amt"), n(-2)}), false},
  };
}

TEST(AppendixA, EveryVectorDecodesToItsValue) {
  for (const auto& vector : appendix_a()) {
    const auto got = decode(from_hex(vector.hex));
    ASSERT_TRUE(got) << vector.hex << ": " << got.message;
    EXPECT_EQ(got.value, vector.value) << vector.hex;
  }
}

TEST(AppendixA, EncodesEachThatIsInOurForm) {
  for (const auto& vector : appendix_a()) {
    const auto encoded = encode(vector.value);
    if (vector.canonical) {
      EXPECT_EQ(to_hex(encoded), vector.hex);
    }
    const auto again = decode(encoded);
    ASSERT_TRUE(again) << vector.hex;
    EXPECT_EQ(again.value, vector.value) << vector.hex;
  }
}

TEST(AppendixA, EveryVectorCutShortIsRefused) {
  for (const auto& vector : appendix_a()) {
    const auto whole = from_hex(vector.hex);
    for (std::size_t length = 0; length < whole.size(); ++length)
      EXPECT_FALSE(decode(std::string_view(whole).substr(0, length))) << vector.hex << " cut to " << length;
    EXPECT_FALSE(decode(whole + '\0')) << vector.hex << " and more";
  }
}

// Appendix F of the RFC has examples of what is not well-formed.
TEST(Decode, RefusesWhatIsNotWellFormed) {
  for (const char* hex :
       {"1c",     "1d",         "1e",         "3c",       "5c",           "7c",
        "9c",     "bc",         "dc",         "fc",       "fd",           "fe",
        "1f",     "3f",         "df",         "ff",       "81ff",         "8200ff",
        "a1ff",   "a1ff00",     "a100ff",     "a20000ff", "9f81ff",       "9f829f819f9fffffffff",
        "bf00ff", "bf000000ff", "5f00ff",     "5f21ff",   "5f6100ff",     "5f80ff",
        "5fa0ff", "5fc000ff",   "5fe0ff",     "7f4100ff", "5f5f4100ffff", "7f7f6100ffff",
        "f800",   "f81f",       "f8ff",       "f0",       "c0",           "61ff",
        "62c328", "63eda080",   "64f4908080", "62c080",   "7f61c361bcff"}) {
    const auto got = decode(from_hex(hex));
    EXPECT_EQ(got.status, OTAGATE_INVALID) << hex;
    EXPECT_EQ(got.message.rfind("CBOR, byte ", 0), 0U) << got.message;
  }
}

// Were memory taken for what a length says, each of these would end the process.
TEST(Decode, AnnouncedLengthsTakeNoMemory) {
  for (const char* hex :
       {"5b7fffffffffffffff", "5bffffffffffffffff00", "7bffffffffffffffff61", "9bffffffffffffffff",
        "9b8000000000000000", "bbffffffffffffffff", "bb8000000000000000", "bb8000000000000001",
        "bb7fffffffffffffff00", "9a7fffffff00", "5a7fffffff00", "5f5b7fffffffffffffffff",
        "819bffffffffffffff", "a1009bffffffffffffffff"})
    EXPECT_FALSE(decode(from_hex(hex))) << hex;
}

TEST(Decode, BoundsDepthItemsAndSize) {
  Limits limits;
  limits.depth = 3;
  EXPECT_TRUE(decode(from_hex("81818100"), limits));
  EXPECT_FALSE(decode(from_hex("8181818100"), limits));
  EXPECT_TRUE(decode(from_hex("c1c1c100"), limits));
  EXPECT_FALSE(decode(from_hex("c1c1c1c100"), limits));
  EXPECT_FALSE(decode(from_hex("9f9f9f9fffffffff"), limits));
  limits = {};
  limits.items = 4;
  EXPECT_TRUE(decode(from_hex("83010203"), limits));
  EXPECT_FALSE(decode(from_hex("8401020304"), limits));
  EXPECT_FALSE(decode(from_hex("5f41014101410141014101ff"), limits));
  limits = {};
  limits.bytes = 4;
  EXPECT_TRUE(decode(from_hex("83010203"), limits));
  EXPECT_FALSE(decode(from_hex("4401020304"), limits));
  // A peer that sends nothing but openings.
  EXPECT_FALSE(decode(std::string(60000, '\x9f')));
  EXPECT_FALSE(decode(std::string(60000, '\x81')));
}

TEST(Value, FindsMembersByEitherKeyThroughTags) {
  const auto got = decode(from_hex("d9d9f7bf00016161182aff"));
  ASSERT_TRUE(got) << got.message;
  EXPECT_EQ(got.value.find("a"), nullptr) << "it is a tag around a map";
  const auto& map = got.value.untagged();
  ASSERT_NE(map.find("a"), nullptr);
  EXPECT_EQ(map.find("a")->as_unsigned(), 42U);
  ASSERT_NE(map.find(0), nullptr);
  EXPECT_EQ(map.find(0)->as_signed(), 1);
  EXPECT_EQ(map.find(1), nullptr);
  EXPECT_EQ(map.find("b"), nullptr);
}

TEST(Value, SignedOnlyWhereItFits) {
  EXPECT_EQ(n(std::numeric_limits<std::int64_t>::min()).as_signed(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(n(std::numeric_limits<std::int64_t>::max()).as_signed(),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(u(1ULL << 63).as_signed(), std::nullopt);
  EXPECT_EQ((Value{Kind::negative_integer, 1ULL << 63, 0, {}, {}}.as_signed()), std::nullopt);
  EXPECT_EQ(n(-1).as_unsigned(), std::nullopt);
  EXPECT_EQ(t("1").as_unsigned(), std::nullopt);
}

}  // namespace
}  // namespace otagate::plugins::cbor

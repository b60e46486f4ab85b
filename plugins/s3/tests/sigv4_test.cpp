#include "s3/sigv4.hpp"

#include <gtest/gtest.h>

#include "common/http_client/url.hpp"

namespace otagate::s3 {
namespace {

// "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query
// Parameters", Amazon S3 API Reference: the keys, the time and the signatures are AWS's.
const Credentials kS3Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
const Scope kS3Scope{"us-east-1"};
constexpr char kS3Date[] = "20130524T000000Z";
constexpr char kS3Host[] = "examplebucket.s3.amazonaws.com";

Params s3_headers(std::string_view payload_hash, Params more = {}) {
  more.emplace_back("host", kS3Host);
  more.emplace_back("x-amz-content-sha256", payload_hash);
  more.emplace_back("x-amz-date", kS3Date);
  return more;
}

TEST(SigV4S3Example, GetObjectWithARange) {
  const Signable what{"GET", "/test.txt", {}, s3_headers(kEmptyHash, {{"range", "bytes=0-9"}}), kEmptyHash};
  EXPECT_EQ(canonical_request(what),
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
            "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
            "x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(string_to_sign(canonical_request(what), kS3Date, kS3Scope),
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
  EXPECT_EQ(authorization(what, kS3Keys, kS3Date, kS3Scope),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4S3Example, PutObjectWithADollarInItsKey) {
  const std::string hash = sha256_hex("Welcome to Amazon S3.");
  EXPECT_EQ(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  const std::string path = "/" + common::percent_encode("test$file.text", common::EncodeSlash::no);
  const Signable what{"PUT",
                      path,
                      {},
                      s3_headers(hash, {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}),
                      hash};
  EXPECT_EQ(signature(what, kS3Keys, kS3Date, kS3Scope),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4S3Example, GetBucketLifecycle) {
  const Signable what{"GET", "/", {{"lifecycle", ""}}, s3_headers(kEmptyHash), kEmptyHash};
  EXPECT_EQ(signature(what, kS3Keys, kS3Date, kS3Scope),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4S3Example, ListObjects) {
  const Signable what{"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, s3_headers(kEmptyHash), kEmptyHash};
  EXPECT_EQ(signature(what, kS3Keys, kS3Date, kS3Scope),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4S3Example, PresignedGet) {
  const Signable what{"GET", "/test.txt", {}, {{"host", kS3Host}}, {}};
  EXPECT_EQ(presigned_query(what, kS3Keys, kS3Date, kS3Scope, 86400),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&"
            "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
            "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
            "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

// The general test suite of Signature Version 4 (its cases that do not ask for path normalisation,
// which S3 does not want).
const Credentials kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
const Scope kSuiteScope{"us-east-1", "service"};
constexpr char kSuiteDate[] = "20150830T123600Z";

std::string suite(std::string_view method, std::string_view path, Params query, Params headers = {}) {
  headers.emplace_back("host", "example.amazonaws.com");
  headers.emplace_back("x-amz-date", kSuiteDate);
  return signature({method, path, std::move(query), std::move(headers), kEmptyHash}, kSuiteKeys, kSuiteDate,
                   kSuiteScope);
}

TEST(SigV4TestSuite, GetVanilla) {
  EXPECT_EQ(suite("GET", "/", {}), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4TestSuite, PostVanilla) {
  EXPECT_EQ(suite("POST", "/", {}), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(SigV4TestSuite, GetVanillaQueryOrderKeyCase) {
  EXPECT_EQ(suite("GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(SigV4TestSuite, GetVanillaUtf8Query) {
  EXPECT_EQ(suite("GET", "/", {{"\u1234", "bar"}}),
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
}

TEST(SigV4TestSuite, GetUtf8) {
  const std::string path = "/" + common::percent_encode("\u1234");
  EXPECT_EQ(path, "/%E1%88%B4");
  EXPECT_EQ(suite("GET", path, {}), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
}

TEST(SigV4TestSuite, GetHeaderValueTrim) {
  EXPECT_EQ(suite("GET", "/", {}, {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}}),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

TEST(SigV4, EncodesTheQueryOnceAndSortsWhatIsSent) {
  EXPECT_EQ(query_string({{"prefix", "a b/c+d%/ü"}, {"list-type", "2"}, {"b", ""}, {"a&", "="}}),
            "a%26=%3D&b=&list-type=2&prefix=a%20b%2Fc%2Bd%25%2F%C3%BC");
}

TEST(SigV4, SignsASessionToken) {
  Credentials keys = kS3Keys;
  keys.session_token = "to+ken/";
  const Signable what{"GET", "/test.txt", {}, {{"host", kS3Host}}, {}};
  const std::string query = presigned_query(what, keys, kS3Date, kS3Scope, 60);
  EXPECT_NE(query.find("X-Amz-Security-Token=to%2Bken%2F&"), std::string::npos);
  EXPECT_EQ(query.find("aeeed9bbccd4d02e"), std::string::npos);
}

TEST(SigV4, FormatsTheTimeInUtc) {
  EXPECT_EQ(amz_date(1369353600), "20130524T000000Z");
  EXPECT_EQ(amz_date(0), "19700101T000000Z");
}

}  // namespace
}  // namespace otagate::s3

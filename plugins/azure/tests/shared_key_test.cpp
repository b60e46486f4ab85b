#include "azure/shared_key.hpp"

#include <gtest/gtest.h>

#include "azure/connection_string.hpp"

namespace otagate::azure {
namespace {

// Published by Microsoft for emulators.
constexpr char kKey[] =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
constexpr char kDate[] = "Fri, 26 Jun 2015 23:39:12 GMT";

std::string sign(const Signable& what) { return authorization(what, "myaccount", *decode_account_key(kKey)); }

// The example of "Authorize with Shared Key": Get Container Metadata.
TEST(SharedKeyExample, OfGetContainerMetadata) {
  const Signable what{"GET",
                      "/mycontainer",
                      {{"restype", "container"}, {"comp", "metadata"}, {"timeout", "20"}},
                      {{"x-ms-version", "2015-02-21"}, {"x-ms-date", kDate}},
                      0};
  EXPECT_EQ(string_to_sign(what, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
            "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
  EXPECT_EQ(sign(what), "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
}

// The same page: List Blobs, whose values of one name are sorted and joined.
TEST(SharedKeyExample, OfListBlobs) {
  const Signable what{"GET",
                      "/mycontainer",
                      {{"restype", "container"},
                       {"comp", "list"},
                       {"include", "snapshots"},
                       {"include", "metadata"},
                       {"include", "uncommittedblobs"}},
                      {},
                      0};
  EXPECT_EQ(string_to_sign(what, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\n/myaccount/mycontainer\ncomp:list\n"
            "include:metadata,snapshots,uncommittedblobs\nrestype:container");
}

// What azure-storage-blob signs for the same requests.
TEST(SharedKeyClient, PutsABlob) {
  EXPECT_EQ(sign({"PUT",
                  "/mycontainer/a%20b/%C3%BC.bin",
                  {},
                  {{"x-ms-version", "2021-12-02"},
                   {"x-ms-date", kDate},
                   {"x-ms-blob-type", "BlockBlob"},
                   {"x-ms-meta-name", "probe"},
                   {"content-md5", "kAFQmDzST7DWlj99KOF/cg=="},
                   {"content-type", "application/octet-stream"}},
                  3}),
            "SharedKey myaccount:J/KUEnLHAKBntlA/NbHO4Fc3WDvR2v/P7kO62dOZJRs=");
}

TEST(SharedKeyClient, GetsARange) {
  EXPECT_EQ(sign({"GET",
                  "/mycontainer/a%20b/%C3%BC.bin",
                  {},
                  {{"x-ms-version", "2021-12-02"},
                   {"x-ms-date", kDate},
                   {"x-ms-range", "bytes=0-9"},
                   {"if-match", "\"0x8D\""}},
                  0}),
            "SharedKey myaccount:Gu2Wa5Ci1zZ/gVaeq6YmvcSX1LsYPLtN9gy6lxDCjI8=");
}

// The lines of the page above, in its order; a Range header is signed, too.
TEST(SharedKeyLines, StandInTheOrderOfTheRules) {
  EXPECT_EQ(string_to_sign({"PUT",
                            "/p",
                            {},
                            {{"range", "r"},
                             {"if-unmodified-since", "u"},
                             {"if-none-match", "n"},
                             {"if-match", "m"},
                             {"if-modified-since", "i"},
                             {"date", "d"},
                             {"content-type", "t"},
                             {"content-md5", "5"},
                             {"content-language", "l"},
                             {"content-encoding", "e"},
                             {"accept", "not signed"}},
                            7},
                           "a"),
            "PUT\ne\nl\n7\n5\nt\nd\ni\nm\nn\nu\nr\n/a/p");
}

TEST(SharedKeyClient, Lists) {
  EXPECT_EQ(sign({"GET",
                  "/mycontainer",
                  {{"restype", "container"},
                   {"comp", "list"},
                   {"include", "metadata,tags"},
                   {"prefix", "a b/"},
                   {"maxresults", "7"}},
                  {{"x-ms-version", "2021-12-02"}, {"x-ms-date", kDate}},
                  0}),
            "SharedKey myaccount:jrP/aNMcdpXF8bq6US+RWdldlXhJzrVvM/D3FgrsBHs=");
}

TEST(Rfc1123Date, IsTheSameInEveryLocale) {
  EXPECT_EQ(rfc1123_date(1435361952), kDate);
  EXPECT_EQ(rfc1123_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(rfc1123_date(2208988800), "Sun, 01 Jan 2040 00:00:00 GMT");
}

}  // namespace
}  // namespace otagate::azure

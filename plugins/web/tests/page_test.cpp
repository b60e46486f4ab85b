#include "web/page.hpp"

#include <gtest/gtest.h>

namespace otagate::web {
namespace {

constexpr char kDigest[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

// As nginx 1.22 writes it (ngx_http_autoindex_module, autoindex_format json).
constexpr char kNginx[] =
    "[\r\n{ \"name\":\"esp32\", \"type\":\"directory\", \"mtime\":\"Wed, 21 Oct 2015 07:28:00 GMT\" },\r\n"
    "{ \"name\":\"a b%\\\"\xc3\xbc.bin\", \"type\":\"file\", \"mtime\":\"Wed, 21 Oct 2015 07:28:01 GMT\", "
    "\"size\":1024 }\r\n]\r\n";

Page good(std::string_view text, Format wanted = Format::automatic) {
  auto page = parse_page(text, wanted);
  if (page) return std::move(*page);
  ADD_FAILURE() << page.error().message;
  return {};
}

std::string refused(std::string_view text, std::size_t max_entries = kMaxEntries) {
  const auto page = parse_page(text, Format::automatic, max_entries);
  if (page) return "taken";
  EXPECT_EQ(page.error().status, OTAGATE_PERMANENT);
  return page.error().message;
}

// What the only entry is left out for.
std::string reason(const std::string& entry, Format wanted = Format::index) {
  const Page page = good("[" + entry + "]", wanted);
  EXPECT_TRUE(page.entries.empty()) << entry;
  EXPECT_EQ(page.skipped, 1u);
  return page.reasons.empty() ? "" : page.reasons.front();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(ParsePage, ReadsAnIndexAsAListAndUnderItems) {
  const std::string entry =
      std::string(R"({"name":"fw","version":"1.0.0","type":"esp32","url":"a/b.bin","sha256":")") + "BA" +
      (kDigest + 2) + R"(","size":3,"kind":"patch","dependency":"0.9.0","notes":["x",{"url":"no"}]})";
  for (const std::string& text : {"[" + entry + "]", R"({"v":1,"next":"?p=2","items":[)" + entry + "]}"}) {
    const Page page = good(text);
    EXPECT_EQ(page.format, Format::index);
    ASSERT_EQ(page.entries.size(), 1u);
    const Entry& one = page.entries.front();
    EXPECT_EQ(one.target, "a/b.bin");
    EXPECT_EQ(one.name, "fw");
    EXPECT_EQ(one.version, "1.0.0");
    EXPECT_EQ(one.type, "esp32");
    EXPECT_EQ(one.sha256, kDigest);
    EXPECT_EQ(one.size, 3u);
    EXPECT_EQ(one.kind, "patch");
    EXPECT_EQ(one.dependency, "0.9.0");
    EXPECT_EQ(page.next, text.front() == '{' ? "?p=2" : "");
  }
}

TEST(ParsePage, ReadsAFolderOfNginx) {
  const Page page = good(kNginx);
  EXPECT_EQ(page.format, Format::folder);
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_TRUE(page.entries[0].directory);
  EXPECT_EQ(page.entries[0].target, "esp32");
  EXPECT_EQ(page.entries[1].target, "a b%\"\xc3\xbc.bin");
  EXPECT_EQ(page.entries[1].size, 1024u);
  EXPECT_EQ(page.entries[1].modified, 1445412481);
  EXPECT_EQ(page.entries[1].name, "");
}

TEST(ParsePage, DecidesByContent) {
  EXPECT_EQ(good("[]").format, Format::index);
  EXPECT_EQ(good(R"([{"name":"x","type":"file"}])").format, Format::folder);
  EXPECT_EQ(good(R"([{"name":"x","type":"file","url":"u"}])").format, Format::index);
  EXPECT_EQ(good(R"([{"name":"x","type":"file"}])", Format::index).format, Format::index);
}

TEST(ParsePage, LeavesOutWhatCannotBeUsedAndSaysWhy) {
  EXPECT_TRUE(has(reason(R"({"name":"x"})"), "no 'url'"));
  EXPECT_TRUE(has(reason(R"({"url":"a b"})"), "percent-encoded"));
  EXPECT_TRUE(has(reason(R"({"url":"a","sha256":"12"})"), "'sha256'"));
  EXPECT_TRUE(has(reason(R"({"url":"a","size":-1})"), "'size' is of the wrong kind"));
  EXPECT_TRUE(has(reason(R"({"url":"a","size":1.5})"), "'size' is of the wrong kind"));
  EXPECT_TRUE(has(reason(R"({"url":"a","size":"1"})"), "'size' is of the wrong kind"));
  EXPECT_TRUE(has(reason(R"({"url":"a","version":2})"), "'version' is of the wrong kind"));
  EXPECT_TRUE(has(reason(R"({"url":"a","version":["2"]})"), "'version' is of the wrong kind"));
  EXPECT_TRUE(has(reason(R"({"url":"a","name":")" + std::string(257, 'n') + R"("})"), "256 bytes"));
  EXPECT_TRUE(has(reason(R"({"url":"a","name":"\u0001"})"), "control"));
  EXPECT_TRUE(has(reason("{\"url\":\"a\",\"name\":\"\xe4\"}"), "256 bytes or holds control"));
  EXPECT_TRUE(has(reason(R"({"url":")" + std::string(2049, 'u') + R"("})"), "2,048"));
  EXPECT_TRUE(has(reason("7"), "no object"));
  for (const char* name : {"", ".", "..", "a/b", "\\u0000"}) {
    EXPECT_TRUE(
        has(reason(std::string(R"({"type":"file","name":")") + name + R"("})", Format::folder), "'name'"));
  }
  EXPECT_TRUE(has(reason(R"({"type":"other","name":"x"})", Format::folder), "'type'"));
  const Page some = good(R"([{"url":"a"},3,{"url":"b"}])");
  EXPECT_EQ(some.entries.size(), 2u);
  EXPECT_EQ(some.skipped, 1u);
}

TEST(ParsePage, TakesNamesThatAreNoUtf8) {
  const Page page = good("[{\"name\":\"\xe4.bin\",\"type\":\"file\"}]");
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries.front().target, "\xe4.bin");
}

TEST(ParsePage, RefusesWhatIsNoListing) {
  for (const char* text :
       {"", "<html>", "{}", "7", "{\"items\":{}}", "[{}", "[]x", "{\"a\":[{\"url\":\"x\"}]}"}) {
    EXPECT_TRUE(has(refused(text), "autoindex_format json")) << text;
  }
  EXPECT_TRUE(has(refused(std::string(100'000, '[')), "no listing"));
}

TEST(ParsePage, BoundsTheNumberOfEntries) {
  EXPECT_TRUE(has(refused(R"([{"url":"a"},{"url":"b"},{"url":"c"}])", 2), "more than 2"));
  EXPECT_TRUE(has(refused("[1,2,3]", 2), "more than 2"));
  EXPECT_EQ(refused(R"([{"url":"a"},{"url":"b"}])", 2), "taken");
}

}  // namespace
}  // namespace otagate::web

// One run through a listing: pages or folders, fetched as the gateway asks for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "otagate/cpp/store.hpp"
#include "web/page.hpp"
#include "web/place.hpp"

namespace otagate::web {

// One page or folder, as it was when the server last sent it.
struct Document {
  struct Item {
    sdk::Object object{};  // without change token where the listing says nothing to make one of
    std::string entry{};   // then: what it does say, to notice that it has changed
  };
  std::string url{};
  std::string etag{};           // as in the header
  std::string last_modified{};  // as in the header
  std::vector<Item> items{};
  std::vector<std::string> more{};  // URLs of the next page or of folders
  Format format = Format::index;

  bool conditional() const { return !etag.empty() || !last_modified.empty(); }
};
using DocumentPtr = std::shared_ptr<const Document>;

// What a page becomes; entries that lead nowhere allowed are counted in `page`.
Document make_document(Page& page, std::string url, const Place& place);

// Not for several threads at the same time. `fetch` gives the document of a URL, in a format that is
// automatic for the first one only; nullptr: it is gone. It throws what list() should end with.
class Walk {
 public:
  using Fetch = std::function<DocumentPtr(const std::string& url, Format format)>;

  Walk(std::string first_url, Format format, unsigned max_depth);

  // How far a run has come. Positions that a walk gave stay good as long as it lives.
  struct Position {
    std::size_t document = 0;
    std::size_t item = 0;
  };

  // The next item from `at` on, which is moved beyond it; nullptr: the document there is to be fetched
  // first (see advance()), or there is nothing more (see ended()).
  const Document::Item* next(Position& at) const;
  bool ended(const Position& at) const;
  // Fetches one document.
  void advance(const Fetch& fetch);

  // All that was fetched, by URL.
  std::map<std::string, DocumentPtr> documents() const;

 private:
  struct Todo {
    std::string url{};
    unsigned depth = 0;
  };
  struct Done {
    DocumentPtr document{};
    std::vector<bool> wanted{};  // false: an earlier item has the key
  };

  Format format_;
  const unsigned max_depth_;
  std::deque<Todo> todo_{};
  std::vector<Done> done_{};
  std::unordered_set<std::string> known_urls_{};
  std::unordered_set<std::string_view> keys_{};  // of the documents in done_
};

}  // namespace otagate::web

// What an HTTP server lists as a store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/http_client.hpp"
#include "otagate/cpp/store.hpp"
#include "web/memory.hpp"
#include "web/page.hpp"
#include "web/place.hpp"
#include "web/walk.hpp"

namespace otagate::web {

class WebStore : public sdk::Store {
 public:
  explicit WebStore(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;

 private:
  // Adds credentials where they may go, and sends. Any answer with a status is one.
  common::HttpResponse send(common::HttpRequest request, const std::string& url, sdk::Call& call);
  [[noreturn]] void refuse(const common::HttpHead& head, const char* method, const std::string& url,
                           bool of_listing) const;
  DocumentPtr fetch_document(const std::string& url, Format format, sdk::Call& call);
  DocumentPtr read_document(const common::HttpResponse& response, const std::string& url, Format format);
  // The object as it is listed, with what a HEAD says where the listing says too little. nullopt: it is not
  // there, or not for us.
  std::optional<sdk::Object> complete(const Document::Item& item, sdk::Call& call);
  Headed head(const std::string& url, const Document::Item& item, sdk::Call& call);
  bool keeps_to_ranges(const std::string& url, sdk::Call& call);

  sdk::StoreHost& host_;
  const Place place_;
  const Format format_;
  const unsigned depth_;
  const std::string authorization_;  // the header's value, "" for none
  const std::string advice_;         // when that is refused
  const std::unique_ptr<common::HttpClient> http_;
  Memory memory_;

  std::timed_mutex list_mutex_;  // one list() at a time; held while the server is asked
  // Under list_mutex_: the last runs by number, and the documents to be asked for conditionally.
  std::map<std::uint64_t, std::unique_ptr<Walk>> walks_;
  std::uint64_t last_walk_ = 0;
  std::map<std::string, DocumentPtr> documents_;
};

}  // namespace otagate::web

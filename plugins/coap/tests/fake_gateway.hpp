// A host in memory for tests of the routes: answers when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gateway.hpp"

namespace otagate::coap {

class FakeGateway final : public Gateway {
 public:
  struct Image {
    Firmware firmware;
    otagate_blob_page page{};
  };

  FakeGateway() = default;

  Image& add(std::string name, std::string version, std::string tag) {
    auto& image = images_[name + "/" + version];
    image.firmware.id = ++next_id_;
    image.firmware.name = std::move(name);
    image.firmware.version = std::move(version);
    image.firmware.tag = std::move(tag);
    image.firmware.flags = OTAGATE_FIRMWARE_CACHED;
    image.page.state = OTAGATE_BLOB_VERIFIED;
    image.page.ready = image.page.total = 10'000;
    ++version_;
    return image;
  }
  void remove(const std::string& name, const std::string& version) {
    // Its readers go on with what they hold.
    if (auto image = images_.extract(name + "/" + version)) withdrawn_.push_back(std::move(image));
    ++version_;
  }

  std::uint64_t catalog_version() const override { return version_; }

  void resolve(const ResolveQuery& query, std::function<void(Outcome<std::vector<Firmware>>)> done) override {
    ++resolves;
    Outcome<std::vector<Firmware>> out;
    auto version = std::string(query.version);
    if (version == "latest") version = latest;
    const auto it = images_.find(std::string(query.name) + "/" + version);
    if (ambiguous) {
      out.status = OTAGATE_AMBIGUOUS;
      for (const auto& [key, image] : images_) out.value.push_back(image.firmware);
    } else if (it == images_.end()) {
      out.status = OTAGATE_NOT_FOUND;
    } else {
      out.value.push_back(it->second.firmware);
    }
    reply([done = std::move(done), out] { done(out); });
  }

  void catalog(const CatalogQuery&, std::function<void(Outcome<FirmwarePage>)> done) override {
    ++catalogs;
    Outcome<FirmwarePage> out;
    for (const auto& [key, image] : images_) out.value.items.push_back(image.firmware);
    out.value.cursor = cursor;
    reply([done = std::move(done), out] { done(out); });
  }

  void open(const OpenQuery& query, std::function<void(Outcome<OpenBlob>)> done) override {
    ++opens;
    opened_peers.emplace_back(query.peer);
    Outcome<OpenBlob> out;
    out.status = open_status;
    out.retry_after_ms = retry_after_ms;
    if (open_status == OTAGATE_OK) {
      for (auto& [key, image] : images_) {
        if (image.firmware.id != query.firmware) continue;
        out.value = {.reader = ++next_reader_,
                     .fd = -1,
                     .page = &image.page,
                     .tag = image.firmware.tag,
                     .sha256 = {},
                     .size = 10'000};
        ++readers;
      }
    }
    reply([done = std::move(done), out] { done(out); });
  }

  void want(std::uint64_t, std::uint64_t, std::uint64_t, std::chrono::milliseconds,
            std::function<void(Outcome<std::uint64_t>)>) override {}

  void report_bad(std::uint64_t, std::string_view why) override { reported_bad.emplace_back(why); }

  void close(std::uint64_t) override { --readers; }

  void check_credential(const sdk::Credential& credential,
                        std::function<void(Outcome<sdk::Principal>)> done) override {
    ++credentials_checked;
    Outcome<sdk::Principal> out;
    const auto it = principals.find(std::string(credential.user) + ":" + std::string(credential.secret));
    if (it == principals.end()) {
      out.status = OTAGATE_DENIED;
    } else {
      out.value = it->second;
    }
    reply([done = std::move(done), out] { done(out); });
  }
  std::uint64_t epoch() const override { return credentials_epoch; }

  void run_pending() override {
    while (!held && !pending_.empty()) {
      auto next = std::move(pending_.front());
      pending_.pop_front();
      next();
    }
  }
  // A host that is held keeps its caller waiting, as a real one would.
  void wait_pending(std::chrono::steady_clock::time_point deadline) override {
    if (held) std::this_thread::sleep_until(deadline);
    run_pending();
  }

  // The test's levers and gauges.
  bool held = false;  // the host does not answer
  bool ambiguous = false;
  std::string latest;
  std::string cursor;
  std::uint32_t open_status = OTAGATE_OK;
  std::uint64_t retry_after_ms = 0;
  std::map<std::string, sdk::Principal> principals;  // by "user:secret"
  std::uint64_t credentials_epoch = 1;
  int credentials_checked = 0;
  int resolves = 0;
  int catalogs = 0;
  int opens = 0;
  int readers = 0;  // open now
  std::vector<std::string> opened_peers;
  std::vector<std::string> reported_bad;

 private:
  void reply(std::function<void()> work) { pending_.push_back(std::move(work)); }

  std::map<std::string, Image> images_;
  std::vector<std::map<std::string, Image>::node_type> withdrawn_;
  std::deque<std::function<void()>> pending_;
  std::uint64_t version_ = 1;
  std::uint64_t next_id_ = 0;
  std::uint64_t next_reader_ = 0;
};

}  // namespace otagate::coap

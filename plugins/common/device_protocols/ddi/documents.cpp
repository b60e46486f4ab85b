#include "common/device_protocols/ddi/documents.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <boost/json.hpp>

#include "common/catalog_json/catalog_json.hpp"

namespace otagate::plugins::devices::ddi {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kShortestSleep = 5;
constexpr std::uint64_t kLongestSleep = 24 * 3600 - 1;
constexpr std::uint64_t kUsualSleep = 300;
// suricatta sends its attributes at its first poll, whatever is offered, and begins at the next.
constexpr std::uint64_t kSleepBeforeWork = 10;
// A poll during the download is how a client sees a cancel; after a restart it begins at its second poll.
constexpr std::uint64_t kSleepAtWork = 30;

json::object link(std::string href) { return {{"href", std::move(href)}}; }

json::object artifact_object(const Place& place, const Artifact& artifact) {
  const std::string path = place.controller + "/softwaremodules/" +
                           percent_encode(part_name(artifact.component)) + "/artifacts/" +
                           percent_encode(artifact.file);
  // hawkBit's names: without a suffix it is HTTPS.
  const std::string suffix = place.secure() ? "" : "-http";
  json::object links;
  links["download" + suffix] = link(blob_url(place, artifact.sha256));
  links["md5sum" + suffix] = link(path + ".MD5SUM");
  return {{"filename", artifact.file},
          {"hashes", {{"sha1", artifact.sha1}, {"md5", artifact.md5}, {"sha256", artifact.sha256}}},
          {"size", artifact.size},
          {"_links", std::move(links)}};
}

bool may_stand_in_a_name(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '/' && c != '\\' && c != '"';
}

std::string safe_name(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !may_stand_in_a_name(c); }, '_');
  return out;
}

class Fnv {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0);
  }
  std::uint32_t value() const { return value_; }

 private:
  void mix(unsigned char byte) { value_ = (value_ ^ byte) * 16777619U; }
  std::uint32_t value_ = 2166136261U;
};

}  // namespace

Place::Place(std::string_view listener, std::string_view tenant, std::string_view device)
    : base_url(listener),
      controller(base_url + "/" + percent_encode(tenant) + "/controller/v1/" + percent_encode(device)) {}

bool Place::secure() const { return base_url.starts_with("https:"); }

std::string_view ending_of(std::string_view begin) {
  // cpio (newc, crc), and its first member is SWUpdate's description: the name follows a head of 110 bytes.
  constexpr std::string_view kDescription = "sw-description";
  if ((begin.starts_with("070701") || begin.starts_with("070702")) && begin.size() >= 110 &&
      begin.substr(110).starts_with(kDescription))
    return ".swu";
  if (begin.starts_with("hsqs")) return ".raucb";
  return ".bin";
}

std::optional<std::string> file_name_given(const sdk::OfferPart& part) {
  const auto found = std::find_if(part.params.begin(), part.params.end(),
                                  [](const auto& pair) { return pair.first == "filename"; });
  if (found == part.params.end() || found->second.empty()) return std::nullopt;
  return safe_name(found->second);
}

std::string file_name(const sdk::OfferPart& part, std::string_view ending) {
  return safe_name(part.name + "-" + part.version).append(ending);
}

std::uint32_t offer_tag(const sdk::Offer& offer) {
  Fnv tag;
  tag.add(std::to_string(offer.attempt));
  tag.add(offer.download_only ? "download" : "update");
  for (const auto& part : offer.parts) {
    for (const std::string* text : {&part.component, &part.name, &part.version, &part.sha256}) tag.add(*text);
    tag.add(std::to_string(part.size));
  }
  return tag.value();
}

std::string poll_document(const Place& place, std::uint64_t seconds, const PollLinks& links) {
  json::object list;
  const std::string tag = "?c=" + std::to_string(links.tag);
  if (links.cancel != 0)
    list["cancelAction"] = link(place.controller + "/cancelAction/" + std::to_string(links.cancel));
  if (links.confirmation != 0) {
    list["confirmationBase"] =
        link(place.controller + "/confirmationBase/" + std::to_string(links.confirmation) + tag);
  }
  if (links.deployment != 0) {
    list["deploymentBase"] =
        link(place.controller + "/deploymentBase/" + std::to_string(links.deployment) + tag);
  }
  if (links.config_data) list["configData"] = link(place.controller + "/configData");
  const json::object document = {{"config", {{"polling", {{"sleep", common::ddi::format_sleep(seconds)}}}}},
                                 {"_links", std::move(list)}};
  return json::serialize(document);
}

std::uint64_t sleep_seconds(const sdk::Offer& offer, bool begun) {
  std::uint64_t seconds = offer.next_after_ms / 1000 + (offer.next_after_ms % 1000 != 0 ? 1 : 0);
  // With an offer it is the lease that has to be kept.
  if (seconds == 0)
    seconds = offer ? std::min(begun ? kSleepAtWork : kSleepBeforeWork, offer.lease_ms / 2000) : kUsualSleep;
  return std::clamp(seconds, kShortestSleep, kLongestSleep);
}

std::string deployment_document(const Place& place, std::uint64_t attempt, std::string_view member,
                                bool download_only, const std::vector<Artifact>& artifacts) {
  json::array chunks;
  for (const Artifact& artifact : artifacts) {
    json::object chunk = {
        {"part", part_name(artifact.component)}, {"version", artifact.version}, {"name", artifact.name}};
    chunk["artifacts"] = json::array{artifact_object(place, artifact)};
    chunks.push_back(std::move(chunk));
  }
  json::object document = {{"id", std::to_string(attempt)}};
  document[member] = {
      {"download", "forced"}, {"update", download_only ? "skip" : "forced"}, {"chunks", std::move(chunks)}};
  return json::serialize(document);
}

std::string artifacts_document(const Place& place, const Artifact& artifact) {
  return json::serialize(json::array{artifact_object(place, artifact)});
}

std::string cancel_document(std::uint64_t attempt) {
  const std::string id = std::to_string(attempt);
  return json::serialize(json::object{{"id", id}, {"cancelAction", {{"stopId", id}}}});
}

std::string confirmation_base_document(const Place& place, bool automatic) {
  const char* const other = automatic ? "deactivateAutoConfirm" : "activateAutoConfirm";
  json::object links;
  links[other] = link(place.controller + "/confirmationBase/" + other);
  return json::serialize(
      json::object{{"autoConfirm", {{"active", automatic}}}, {"_links", std::move(links)}});
}

std::string blob_url(const Place& place, std::string_view sha256) {
  return place.base_url + "/blobs/sha256/" + std::string(sha256);
}

}  // namespace otagate::plugins::devices::ddi

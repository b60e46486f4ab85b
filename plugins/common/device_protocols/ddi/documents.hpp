// The JSON that DDI clients are sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ddi/vocabulary.hpp"
#include "otagate/cpp/transport_host.hpp"

namespace otagate::plugins::devices::ddi {

// Where a client finds its resources.
struct Place {
  std::string base_url;    // of the listener, without a slash at the end
  std::string controller;  // base_url + "/<tenant>/controller/v1/<id>"

  Place(std::string_view listener, std::string_view tenant, std::string_view device);
  bool secure() const;  // https
};

// One part of an offer with all that a client wants to know of it.
struct Artifact {
  std::string component;
  std::string name;
  std::string version;
  std::string file;
  std::string sha1, md5, sha256;
  std::uint64_t size = 0;
};

using common::ddi::part_name;
// Bytes that begin the blob -> the ending of a file of that kind, with its dot. Clients look at it: SWUpdate
// passes over what does not end in ".swu".
std::string_view ending_of(std::string_view begin);
inline constexpr std::uint32_t kEndingBytes = 256;  // that ending_of() wants
// The name a part goes by: its parameter "filename" as far as there is one, else nothing.
std::optional<std::string> file_name_given(const sdk::OfferPart& part);
// "<name>-<version><ending>", without what does not belong into a file's name.
std::string file_name(const sdk::OfferPart& part, std::string_view ending);

// Differs when what the offer holds does.
std::uint32_t offer_tag(const sdk::Offer& offer);

struct PollLinks {
  std::uint64_t deployment = 0;    // attempt; 0: no link
  std::uint64_t confirmation = 0;  // attempt; 0: no link
  std::uint64_t cancel = 0;        // attempt; 0: no link
  std::uint32_t tag = 0;           // of the offer that is linked
  bool config_data = false;
};
std::string poll_document(const Place& place, std::uint64_t sleep_seconds, const PollLinks& links);
// How long a client sleeps until it polls again: hawkBit's unit is the second. `begun`: it is at work on the
// offer already.
std::uint64_t sleep_seconds(const sdk::Offer& offer, bool begun);

// `member`: "deployment" or "confirmation".
std::string deployment_document(const Place& place, std::uint64_t attempt, std::string_view member,
                                bool download_only, const std::vector<Artifact>& artifacts);
std::string artifacts_document(const Place& place, const Artifact& artifact);
std::string cancel_document(std::uint64_t attempt);
std::string confirmation_base_document(const Place& place, bool automatic);

// The place of the bytes: the transport's own, with ranges and validators.
std::string blob_url(const Place& place, std::string_view sha256);

}  // namespace otagate::plugins::devices::ddi

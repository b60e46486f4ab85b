#include "azure/sas.hpp"

#include <ctime>
#include <initializer_list>

#include "common/object_store/digests.hpp"
#include "common/object_store/query.hpp"

namespace otagate::azure {
namespace {

std::string resource(const BlobSas& what) {
  std::string out = "/blob/";
  out.append(what.account).append("/").append(what.container).append("/").append(what.key);
  return out;
}

std::string protocol(const BlobSas& what) { return what.https_only ? "https" : ""; }

std::string lines(std::initializer_list<std::string_view> values) {
  std::string out;
  for (const std::string_view value : values) out.append(value).append("\n");
  out.pop_back();
  return out;
}

common::Params query(const BlobSas& what) {
  common::Params out = {{"sv", kVersion}, {"sr", "b"}, {"sp", "r"}, {"se", iso8601(what.expires)}};
  if (what.https_only) out.emplace_back("spr", protocol(what));
  return out;
}

std::string signed_query(common::Params query, std::string_view key, const std::string& text) {
  query.emplace_back("sig", common::to_base64(common::hmac_sha256(key, text)));
  return common::query_string(query);
}

}  // namespace

std::string iso8601(std::int64_t unix_seconds) {
  const std::time_t when = unix_seconds;
  std::tm parts = {};
  gmtime_r(&when, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string service_string_to_sign(const BlobSas& what) {
  const std::string_view none;
  return lines({"r", none /* start */, iso8601(what.expires), resource(what), none /* identifier */,
                none /* IP */, protocol(what), kVersion, "b", none /* snapshot */,
                none /* encryption scope */, none, none, none, none, none /* response headers */});
}

std::string delegation_string_to_sign(const BlobSas& what, const DelegationKey& key) {
  const std::string_view none;
  return lines({"r",
                none /* start */,
                iso8601(what.expires),
                resource(what),
                key.object_id,
                key.tenant_id,
                key.start,
                key.expiry,
                key.service,
                key.version,
                none /* authorised user */,
                none /* unauthorised user */,
                none /* correlation id */,
                none /* IP */,
                protocol(what),
                kVersion,
                "b",
                none /* snapshot */,
                none /* encryption scope */,
                none,
                none,
                none,
                none,
                none /* response headers */});
}

std::string service_sas(const BlobSas& what, std::string_view account_key) {
  return signed_query(query(what), account_key, service_string_to_sign(what));
}

std::string delegation_sas(const BlobSas& what, const DelegationKey& key) {
  common::Params params = query(what);
  params.insert(params.end(), {{"skoid", key.object_id},
                               {"sktid", key.tenant_id},
                               {"skt", key.start},
                               {"ske", key.expiry},
                               {"sks", key.service},
                               {"skv", key.version}});
  return signed_query(std::move(params), key.value, delegation_string_to_sign(what, key));
}

}  // namespace otagate::azure

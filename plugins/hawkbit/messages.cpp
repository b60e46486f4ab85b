#include "hawkbit/messages.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "common/ddi/vocabulary.hpp"
#include "common/http_client/url.hpp"

namespace otagate::hawkbit {
namespace {

namespace json = boost::json;
using namespace common::ddi;

// A time before this (2020) is that of a clock nobody has set: the server's own is better.
constexpr std::int64_t kPlausibleMs = 1'577'836'800'000;

struct Report {
  Execution execution;
  Finished finished;
};

json::object status_of(Report report, std::int32_t code, std::string_view detail) {
  json::object result;
  result["finished"] = word_of(kFinished, report.finished);
  json::object status;
  status["execution"] = word_of(kExecutions, report.execution);
  status["result"] = std::move(result);
  if (code != 0) status["code"] = code;
  json::array details;
  if (!detail.empty()) details.emplace_back(common::printable(detail, kMaxDetail));
  status["details"] = std::move(details);
  return status;
}

// Servers before 0.3.0M8 want the action's number in the body, too; later ones pass over it.
std::string report_body(std::string_view action, std::int64_t at_ms, json::object status) {
  json::object document;
  document["id"] = action;
  if (at_ms >= kPlausibleMs) document["timestamp"] = at_ms;
  document["status"] = std::move(status);
  return json::serialize(document);
}

std::string detail_or(std::string_view message, std::string_view otherwise) {
  return std::string(message.empty() ? otherwise : message);
}

Message report(const sdk::Feedback& feedback, std::string_view resource, std::string_view id, Report what,
               std::string_view detail) {
  return {std::string(resource) + "/" + std::string(id) + "/feedback",
          report_body(id, feedback.at_ms, status_of(what, feedback.code, detail))};
}

Message progress(const sdk::Feedback& feedback) {
  json::object status = status_of({Execution::proceeding, Finished::none}, feedback.code, feedback.message);
  if (feedback.total > 0) {
    // Bytes do not fit into the server's 32-bit numbers.
    status["result"].as_object()["progress"] =
        json::object{{"cnt", percent(feedback.done, feedback.total)}, {"of", 100}};
  }
  const std::string id(feedback.external_id);
  return {"deploymentBase/" + id + "/feedback", report_body(id, feedback.at_ms, std::move(status))};
}

Message consent(const sdk::Feedback& feedback, bool given) {
  json::object document;
  document["confirmation"] = word_of(kConfirmations, given);
  if (feedback.code != 0) document["code"] = feedback.code;
  const std::string detail =
      detail_or(feedback.message, given ? "agreed to at the gateway" : "refused at the gateway");
  document["details"] = json::array{common::printable(detail, kMaxDetail)};
  return {"confirmationBase/" + std::string(feedback.external_id) + "/feedback", json::serialize(document)};
}

}  // namespace

std::uint64_t percent(std::uint64_t done, std::uint64_t total) {
  if (total == 0 || done >= total) return total == 0 ? 0 : 100;
  const double share = static_cast<double>(done) / static_cast<double>(total) * 100.0;
  return std::min<std::uint64_t>(99, static_cast<std::uint64_t>(share));
}

std::optional<Message> feedback_message(const sdk::Feedback& feedback, std::string_view cancel_id) {
  constexpr std::string_view kDeployment = "deploymentBase";
  constexpr std::string_view kCancel = "cancelAction";
  const std::string_view id = feedback.external_id;
  switch (feedback.kind) {
    case OTAGATE_FEEDBACK_PROGRESS: return progress(feedback);
    case OTAGATE_FEEDBACK_DOWNLOADED:
      return report(feedback, kDeployment, id, {Execution::downloaded, Finished::none},
                    detail_or(feedback.message, "the device has all of it"));
    case OTAGATE_FEEDBACK_SUCCESS:
      return report(feedback, kDeployment, id, {Execution::closed, Finished::success}, feedback.message);
    case OTAGATE_FEEDBACK_FAILURE:
      return report(feedback, kDeployment, id, {Execution::closed, Finished::failure},
                    detail_or(feedback.message, "the update failed"));
    case OTAGATE_FEEDBACK_CANCELLED:
      return report(feedback, kCancel, cancel_id.empty() ? id : cancel_id,
                    {Execution::closed, Finished::success}, detail_or(feedback.message, "cancelled"));
    case OTAGATE_FEEDBACK_CANCEL_REFUSED:
      return report(feedback, kCancel, cancel_id.empty() ? id : cancel_id,
                    {Execution::rejected, Finished::none},
                    detail_or(feedback.message, "too late to be cancelled"));
    case OTAGATE_FEEDBACK_CONFIRMED: return consent(feedback, true);
    case OTAGATE_FEEDBACK_DENIED: return consent(feedback, false);
    default: return std::nullopt;
  }
}

Message refusal_message(std::string_view action, std::string_view why) {
  return {"deploymentBase/" + std::string(action) + "/feedback",
          report_body(action, 0, status_of({Execution::closed, Finished::failure}, 0, why))};
}

std::string config_data(const sdk::Pairs& attributes) {
  json::object data;
  for (const auto& [key, value] : attributes) {
    if (key.empty() || key.size() > kMaxAttribute || data.size() >= kMaxAttributes) continue;
    data[key] = common::printable(value, kMaxAttribute);
  }
  json::object document;
  document["mode"] = word_of(kConfigModes, ConfigMode::replace);
  document["data"] = std::move(data);
  return json::serialize(document);
}

}  // namespace otagate::hawkbit

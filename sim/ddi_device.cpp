// hawkBit's Direct Device Integration API (DDI), as SWUpdate and rauc-hawkbit-updater use it.
#include <boost/json.hpp>
#include <cstdio>
#include <utility>

#include "fetch.hpp"
#include "protocols.hpp"

namespace otagate::sim {
namespace {

namespace json = boost::json;
constexpr std::uint32_t kChunk = 256 << 10;

const json::value* at(const json::value& from, std::initializer_list<std::string_view> keys) {
  const auto* value = &from;
  for (const auto key : keys) {
    const auto* object = value->if_object();
    value = object != nullptr ? object->if_contains(key) : nullptr;
    if (value == nullptr) return nullptr;
  }
  return value;
}

std::string text_at(const json::value& from, std::initializer_list<std::string_view> keys) {
  const auto* value = at(from, keys);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::value parsed(std::string_view text) {
  boost::system::error_code failed;
  json::parse_options bounds;
  bounds.max_depth = 16;
  auto value = json::parse(text, failed, {}, bounds);
  return failed ? json::value() : value;
}

// "HH:mm:ss"; 0 for anything else.
Milliseconds parse_sleep(const std::string& text) {
  unsigned hours = 0;
  unsigned minutes = 0;
  unsigned seconds = 0;
  // NOLINTNEXTLINE(cert-err34-c): two digits each, as the width says
  if (std::sscanf(text.c_str(), "%2u:%2u:%2u", &hours, &minutes, &seconds) != 3) return Milliseconds(0);
  return Milliseconds((hours * 3600 + minutes * 60 + seconds) * 1000);
}

class DdiDevice final : public Device {
 public:
  explicit DdiDevice(Profile profile) : Device(std::move(profile)) {}

 private:
  enum class Step {
    base,
    config,
    confirm,
    cancel,
    cancelled,
    deployment,
    tell_begin,
    fetch,
    tell_downloaded,
    tell_installing,
    tell_end
  };

  Action speak() override;
  Action hear(const Reply& reply) override;
  // What it was about to install is written down in its boot environment, so that it can say how it went.
  void restarted() override { step_ = swapping_ ? Step::tell_end : Step::base; }

  Ask ask(Method method, std::string target, const json::value& body = {}) const;
  Ask feedback(std::string_view execution, std::string_view finished, std::string_view detail) const;
  Action polled(const Reply& reply);
  Action got_deployment(const Reply& reply);
  Action fetched(const Reply& reply);
  Action full();
  Action told(const Reply& reply);
  Action again(Step step) {
    step_ = step;
    return speak();
  }

  Step step_ = Step::base;
  Milliseconds sleep_{0};
  std::string link_;        // that the step is about
  std::string deployment_;  // its deploymentBase, without query
  std::string stop_id_;
  Download download_;
  bool intact_ = true;
  bool swapping_ = false;
  bool download_only_ = false;
};

Ask DdiDevice::ask(Method method, std::string target, const json::value& body) const {
  Ask made;
  made.method = method;
  made.target = std::move(target);
  made.accept = "application/hal+json";
  if (!profile().token.empty()) made.authorization = "TargetToken " + profile().token;
  if (!body.is_null()) {
    made.content_type = "application/json";
    made.body = json::serialize(body);
  }
  return made;
}

Ask DdiDevice::feedback(std::string_view execution, std::string_view finished,
                        std::string_view detail) const {
  json::object status{{"execution", execution},
                      {"result", json::object{{"finished", finished}}},
                      {"details", json::array{json::string(detail)}}};
  return ask(Method::post, deployment_ + "/feedback", json::object{{"status", std::move(status)}});
}

Action DdiDevice::speak() {
  switch (step_) {
    case Step::base: {
      auto made = ask(Method::get, '/' + habits().tenant + "/controller/v1/" + percent_encoded(profile().id));
      made.check_in = true;
      return made;
    }
    case Step::config:
      return ask(Method::put, link_,
                 json::object{{"mode", "merge"},
                              {"data", json::object{{"type", profile().type}, {"version", version()}}}});
    case Step::confirm:
      return ask(Method::post, link_ + "/feedback", json::object{{"confirmation", "confirmed"}});
    case Step::cancel: return ask(Method::get, link_);
    case Step::cancelled:
      return ask(Method::post, link_ + "/feedback",
                 json::object{{"status", json::object{{"execution", "closed"},
                                                      {"result", json::object{{"finished", "success"}}},
                                                      {"details", json::array{"stopped"}}}}});
    case Step::deployment: return ask(Method::get, link_);
    case Step::tell_begin: return feedback("proceeding", "none", "download begins");
    case Step::fetch: {
      auto made = download_.ask(image(), habits(), kChunk);
      if (!profile().token.empty()) made.authorization = "TargetToken " + profile().token;
      return made;
    }
    case Step::tell_downloaded: return feedback("downloaded", "none", "SHA-256 is as offered");
    case Step::tell_installing: return feedback("proceeding", "none", "installing");
    case Step::tell_end: {
      const bool good = intact_ && fate().end != End::fails && version() == download_.version;
      const auto* detail = !intact_                     ? "SHA-256 differs"
                           : fate().end == End::fails   ? "the simulated device was told to fail"
                           : fate().end == End::reverts ? "came back with the old version"
                                                        : "runs the new version";
      return feedback("closed", good ? "success" : "failure", detail);
    }
  }
  return Leave{};
}

Action DdiDevice::hear(const Reply& reply) {
  if (step_ == Step::fetch) return fetched(reply);
  if (reply.status >= 500 || reply.status == 429 || reply.status == 409) return back_off(reply.retry_after);
  switch (step_) {
    case Step::base: return polled(reply);
    case Step::deployment: return got_deployment(reply);
    case Step::cancel:
      stop_id_ = reply.ok() ? text_at(parsed(reply.body), {"cancelAction", "stopId"}) : std::string();
      if (stop_id_.empty()) {
        violation("a cancelAction without stopId");
        step_ = Step::base;
        return back_off();
      }
      return again(Step::cancelled);
    case Step::cancelled:
      if (busy()) drop("cancelled");
      step_ = Step::base;
      return idle(sleep_);
    case Step::config:
    case Step::confirm:
      if (!reply.ok()) note("refused " + std::to_string(reply.status));
      step_ = Step::base;
      // What comes of it is in the next poll.
      return reply.ok() ? rest(Milliseconds(0)) : idle(sleep_);
    default: return told(reply);
  }
}

Action DdiDevice::polled(const Reply& reply) {
  if (!reply.ok()) {
    note("refused " + std::to_string(reply.status));
    return idle(reply.retry_after);
  }
  const auto base = parsed(reply.body);
  if (!base.is_object()) {
    violation("a base that is no JSON object");
    return idle(sleep_);
  }
  acknowledged();
  sleep_ = parse_sleep(text_at(base, {"config", "polling", "sleep"}));
  const auto link = [&](std::string_view name) { return text_at(base, {"_links", name, "href"}); };
  if (link_ = link("cancelAction"); !link_.empty()) return again(Step::cancel);
  if (link_ = link("configData"); !link_.empty()) return again(Step::config);
  if (link_ = link("confirmationBase"); !link_.empty()) {
    const auto query = link_.find('?');
    link_.resize(std::min(query, link_.size()));
    // Without an action there is nothing to confirm; the link is there for auto-confirmation.
    if (!link_.ends_with("/confirmationBase")) return again(Step::confirm);
  }
  if (link_ = link("deploymentBase"); !link_.empty()) return again(Step::deployment);
  if (busy()) drop("withdrawn");
  return idle(sleep_);
}

Action DdiDevice::got_deployment(const Reply& reply) {
  step_ = Step::base;
  if (!reply.ok()) {  // 404: it has been cancelled meanwhile
    note("deployment refused " + std::to_string(reply.status));
    return idle(sleep_);
  }
  const auto deployment = parsed(reply.body);
  const auto* chunks = at(deployment, {"deployment", "chunks"});
  const auto* chunk = chunks != nullptr && chunks->is_array() && !chunks->get_array().empty()
                          ? &chunks->get_array().front()
                          : nullptr;
  const auto* artifacts = chunk != nullptr ? at(*chunk, {"artifacts"}) : nullptr;
  if (artifacts == nullptr || !artifacts->is_array() || artifacts->get_array().empty()) {
    violation("a deployment without an artifact");
    return idle(sleep_);
  }
  const auto& artifact = artifacts->get_array().front();
  Download next;
  next.version = text_at(*chunk, {"version"});
  next.sha256 = text_at(artifact, {"hashes", "sha256"});
  next.url = text_at(artifact, {"_links", "download-http", "href"});
  if (next.url.empty()) next.url = text_at(artifact, {"_links", "download", "href"});
  if (const auto* size = at(artifact, {"size"}); size != nullptr && size->is_number()) {
    boost::system::error_code inexact;
    next.size = size->to_number<std::uint64_t>(inexact);
  }
  if (next.version.empty() || next.sha256.size() != 64 || next.url.empty() || next.size == 0) {
    violation("an artifact without version, sha256, size or link");
    return idle(sleep_);
  }
  if (text_at(artifact, {"hashes", "sha1"}).size() != 40 ||
      text_at(artifact, {"hashes", "md5"}).size() != 32) {
    violation("an artifact without sha1 or md5, which DDI clients check");
  }
  if (text_at(deployment, {"deployment", "download"}) == "skip") return idle(sleep_);
  download_only_ = text_at(deployment, {"deployment", "update"}) == "skip";
  deployment_ = link_.substr(0, link_.find('?'));
  download_ = std::move(next);
  intact_ = true;
  start(download_.version, download_.size, download_.sha256);
  if (image().offset() == download_.size) return full();
  return again(Step::tell_begin);
}

Action DdiDevice::fetched(const Reply& reply) {
  const auto got = download_.take(reply, image());
  if (got.step == Download::Step::retry) return back_off(reply.retry_after);
  if (got.step == Download::Step::broken) {
    note(got.why);
    image().clear();
    step_ = Step::base;
    return back_off(reply.retry_after);
  }
  auto pause = take(got.data);
  if (step_ != Step::fetch || gone()) return *pause;
  if (!download_.complete(image())) return pause ? *pause : speak();
  auto next = full();
  return pause ? *pause : next;
}

Action DdiDevice::full() {
  intact_ = verify(download_.sha256);
  return again(intact_ ? Step::tell_downloaded : Step::tell_end);
}

Action DdiDevice::told(const Reply& reply) {
  const auto told = std::exchange(step_, Step::base);
  if (!reply.ok()) note("feedback refused " + std::to_string(reply.status));
  if (told == Step::tell_end) {
    if (std::exchange(swapping_, false)) {
      acknowledged();
    } else if (!intact_) {
      drop("failed");
    } else {
      told_failure();
    }
    return idle(sleep_);
  }
  if (!reply.ok()) {  // 410: the action is over
    drop("stopped");
    return idle(sleep_);
  }
  if (told == Step::tell_begin) return again(Step::fetch);
  if (told == Step::tell_downloaded && download_only_) {
    keep();
    return idle(sleep_);
  }
  if (told == Step::tell_downloaded) {
    return again(fate().end == End::fails ? Step::tell_end : Step::tell_installing);
  }
  swapping_ = true;
  return swap();
}

}  // namespace

std::unique_ptr<Device> make_ddi_device(Profile profile) {
  return std::make_unique<DdiDevice>(std::move(profile));
}

}  // namespace otagate::sim

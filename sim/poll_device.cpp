// Plain poll: the device asks for its update in JSON, fetches it by ranges and reports each state.
#include <boost/json.hpp>
#include <limits>
#include <utility>

#include "fetch.hpp"
#include "protocols.hpp"

namespace otagate::sim {
namespace {

namespace json = boost::json;
constexpr std::uint32_t kChunk = 16 << 10;

class PollDevice final : public Device {
 public:
  explicit PollDevice(Profile profile) : Device(std::move(profile)) {}

 private:
  enum class Step {
    check_in,
    report_downloading,
    fetch,
    report_downloaded,
    report_failed,
    report_applying,
    report_succeeded
  };

  Action speak() override;
  Action hear(const Reply& reply) override;
  void restarted() override { step_ = Step::check_in; }

  Ask report(std::string_view state);
  Action checked_in(const Reply& reply);
  bool parse_offer(std::string_view text);
  Action fetched(const Reply& reply);
  Action full();
  Action reported(const Reply& reply);

  Ask ask(Method method, std::string_view what) const {
    Ask made;
    made.method = method;
    made.target = "/v1/devices/" + percent_encoded(profile().id) + std::string(what);
    made.accept = "application/json";
    if (!profile().token.empty()) made.authorization = "Bearer " + profile().token;
    return made;
  }

  Step step_ = Step::check_in;
  Download download_;
  json::value deployment_;   // as it came
  bool to_tell_ = false;     // that the update succeeded, before it forgets the deployment
  bool downloaded_ = false;  // all of the image is there and good
  bool download_only_ = false;
};

Action PollDevice::speak() {
  switch (step_) {
    case Step::check_in: {
      auto made = ask(Method::get, "/update?version=" + percent_encoded(version()) +
                                       "&type=" + percent_encoded(profile().type));
      made.check_in = true;
      return made;
    }
    case Step::report_downloading: return report("downloading");
    case Step::fetch: {
      auto made = download_.ask(image(), habits(), kChunk);
      if (!profile().token.empty()) made.authorization = "Bearer " + profile().token;
      return made;
    }
    case Step::report_downloaded: return report("downloaded");
    case Step::report_failed: return report("failed");
    case Step::report_applying: return report("applying");
    case Step::report_succeeded: return report("succeeded");
  }
  return Leave{};
}

Ask PollDevice::report(std::string_view state) {
  auto made = ask(Method::post, "/report");
  json::object body{{"deployment", deployment_}, {"state", state}, {"version", version()}};
  if (step_ == Step::report_downloading) body["offset"] = image().offset();
  if (step_ == Step::report_failed) {
    body["code"] = downloaded_ ? 7 : 8;
    body["message"] = downloaded_ ? "the simulated device was told to fail" : "SHA-256 differs";
  }
  made.content_type = "application/json";
  made.body = json::serialize(body);
  return made;
}

Action PollDevice::hear(const Reply& reply) {
  switch (step_) {
    case Step::check_in: return checked_in(reply);
    case Step::fetch: return fetched(reply);
    default: return reported(reply);
  }
}

Action PollDevice::checked_in(const Reply& reply) {
  if (reply.status >= 500 || reply.status == 429) return back_off(reply.retry_after);
  if (!reply.ok()) {
    note("refused " + std::to_string(reply.status));
    return idle(reply.retry_after);
  }
  if (std::exchange(to_tell_, false) && version() == download_.version) {
    step_ = Step::report_succeeded;  // which settles it; what else there is, the next check-in says
    return speak();
  }
  const bool was_busy = busy();
  acknowledged();
  if (reply.body.empty()) {
    // A device that crashed and is not offered the update any more has nothing to go on with.
    if (was_busy && busy()) drop("withdrawn");
    return idle(reply.retry_after);
  }
  if (!parse_offer(reply.body)) return idle(reply.retry_after);
  if (download_.version == version()) {
    violation("it is offered " + version() + ", which it runs");
    return idle(reply.retry_after);
  }
  start(download_.version, download_.size, download_.sha256);
  downloaded_ = false;
  if (image().offset() == download_.size) return full();
  step_ = Step::report_downloading;
  return speak();
}

bool PollDevice::parse_offer(std::string_view text) {
  boost::system::error_code failed;
  json::parse_options bounds;
  bounds.max_depth = 8;
  const auto parsed = json::parse(text, failed, {}, bounds);
  const auto* offer = failed ? nullptr : parsed.if_object();
  const auto string = [&](std::string_view key) -> std::string {
    const auto* value = offer->if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  const auto* size = offer != nullptr ? offer->if_contains("size") : nullptr;
  Download next;
  if (size != nullptr && size->is_number()) {
    next.size = size->to_number<std::uint64_t>(failed);
    next.url = string("url");
    next.version = string("version");
    next.sha256 = string("sha256");
  }
  if (failed || next.size == 0 || next.url.empty() || next.version.empty() || next.sha256.size() != 64) {
    violation("an offer without version, url, size or sha256: " + std::string(text.substr(0, 120)));
    return false;
  }
  download_ = std::move(next);
  download_only_ = string("mode") == "download_only";
  const auto* deployment = offer->if_contains("deployment");
  deployment_ = deployment != nullptr ? *deployment : json::value();
  return true;
}

Action PollDevice::fetched(const Reply& reply) {
  const auto got = download_.take(reply, image());
  if (got.step == Download::Step::retry) return back_off(reply.retry_after);
  if (got.step == Download::Step::broken) {
    // The offer may have been withdrawn: the next check-in says.
    note(got.why);
    if (image().offset() > 0) image().clear();
    step_ = Step::check_in;
    return back_off(reply.retry_after);
  }
  auto pause = take(got.data);
  if (step_ != Step::fetch || gone()) return *pause;
  if (!download_.complete(image())) return pause ? *pause : speak();
  auto next = full();
  return pause ? *pause : next;  // in either case it speaks of the next step afterwards
}

Action PollDevice::full() {
  downloaded_ = verify(download_.sha256);
  step_ = downloaded_ ? Step::report_downloaded : Step::report_failed;
  return speak();
}

Action PollDevice::reported(const Reply& reply) {
  if (reply.status >= 500 || reply.status == 429) return back_off(reply.retry_after);
  const bool failing = step_ == Step::report_failed;
  const bool done = step_ == Step::report_succeeded;
  if (!reply.ok()) {
    note("report refused " + std::to_string(reply.status));
    step_ = Step::check_in;
    // Whoever is told that its attempt is over does not go on with it; what is written is written.
    if (!failing && !done) {
      drop("stopped");
      return idle(reply.retry_after);
    }
  }
  switch (step_) {
    case Step::report_downloading: step_ = Step::fetch; return speak();
    case Step::report_downloaded:
      if (download_only_) {
        step_ = Step::check_in;
        keep();
        return idle(reply.retry_after);
      }
      step_ = fate().end == End::fails ? Step::report_failed : Step::report_applying;
      return speak();
    case Step::report_applying: to_tell_ = true; return swap();
    default: break;
  }
  step_ = Step::check_in;
  if (done) acknowledged();
  if (failing && downloaded_) {
    told_failure();
  } else if (failing) {
    drop("failed");
  }
  return idle(reply.retry_after);
}

}  // namespace

std::unique_ptr<Device> make_poll_device(Profile profile) {
  return std::make_unique<PollDevice>(std::move(profile));
}

}  // namespace otagate::sim

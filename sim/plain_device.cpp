// A device that was told host and path of its firmware and fetches it by ranges, as nRF Connect SDK's FOTA
// downloader does: no check-in, no report. It learns the digest from the catalog, as whoever told it would.
#include <boost/json.hpp>
#include <utility>

#include "fetch.hpp"
#include "protocols.hpp"

namespace otagate::sim {
namespace {

namespace json = boost::json;
constexpr std::uint32_t kChunk = 1024;

class PlainDevice final : public Device {
 public:
  explicit PlainDevice(Profile profile) : Device(std::move(profile)) {
    const std::string_view firmware = habits().firmware;
    const auto slash = firmware.rfind('/');
    name_ = firmware.substr(0, slash);
    if (slash != std::string_view::npos) download_.version = firmware.substr(slash + 1);
  }

 private:
  enum class Step { find, fetch, wait };

  Action speak() override;
  Action hear(const Reply& reply) override;
  void restarted() override { step_ = Step::find; }

  Action found(const Reply& reply);
  Action fetched(const Reply& reply);
  Ask with_credential(Ask ask) const {
    if (!profile().token.empty()) ask.authorization = "Bearer " + profile().token;
    return ask;
  }

  Step step_ = Step::find;
  std::string name_;
  Download download_;
};

Action PlainDevice::speak() {
  if (step_ == Step::fetch) return with_credential(download_.ask(image(), habits(), kChunk));
  Ask ask;
  ask.target = "/firmware?name=" + percent_encoded(name_) + "&limit=1000";
  ask.check_in = true;
  return with_credential(std::move(ask));
}

Action PlainDevice::hear(const Reply& reply) {
  if (step_ == Step::fetch) return fetched(reply);
  if (reply.status >= 500 || reply.status == 429) return back_off(reply.retry_after);
  if (!reply.ok()) {
    note("refused " + std::to_string(reply.status));
    return idle(reply.retry_after);
  }
  acknowledged();
  return found(reply);
}

Action PlainDevice::found(const Reply& reply) {
  if (version() == download_.version || settled()) return idle(Milliseconds(0));
  boost::system::error_code failed;
  json::parse_options bounds;
  bounds.max_depth = 16;
  const auto catalog = json::parse(reply.body, failed, {}, bounds);
  const auto* object = failed ? nullptr : catalog.if_object();
  const auto* items = object != nullptr ? object->if_contains("items") : nullptr;
  if (items == nullptr || !items->is_array()) {
    violation("a catalog without items");
    return idle(Milliseconds(0));
  }
  for (const auto& item : items->get_array()) {
    const auto* fields = item.if_object();
    const auto text = [&](std::string_view key) -> std::string {
      const auto* value = fields != nullptr ? fields->if_contains(key) : nullptr;
      return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
    };
    if (text("version") != download_.version) continue;
    if (const auto type = text("type"); !type.empty() && type != profile().type) continue;
    download_.sha256 = text("sha256");
    download_.url = "/firmware/" + percent_encoded(name_) + '/' + percent_encoded(download_.version);
    if (const auto type = text("type"); !type.empty()) download_.url += '/' + percent_encoded(type);
    download_.size = 0;
    if (const auto* size = fields->if_contains("size"); size != nullptr && size->is_number()) {
      boost::system::error_code inexact;
      download_.size = size->to_number<std::uint64_t>(inexact);
    }
    start(download_.version, download_.size == 0 ? std::nullopt : std::optional(download_.size),
          download_.sha256);
    step_ = Step::fetch;
    return speak();
  }
  return idle(Milliseconds(0));  // not there yet
}

Action PlainDevice::fetched(const Reply& reply) {
  const auto got = download_.take(reply, image());
  if (got.step == Download::Step::retry) return back_off(reply.retry_after);
  if (got.step == Download::Step::broken) {
    note(got.why);
    image().clear();
    step_ = Step::find;
    return back_off(reply.retry_after);
  }
  auto pause = take(got.data);
  if (step_ != Step::fetch || gone()) return *pause;
  if (!download_.complete(image())) return pause ? *pause : speak();
  step_ = Step::find;
  if (!verify(download_.sha256)) {
    drop("failed");
    return back_off();
  }
  if (fate().end == End::fails) {  // it has nobody to tell
    told_failure();
    return idle(Milliseconds(0));
  }
  return swap();
}

}  // namespace

std::unique_ptr<Device> make_plain_device(Profile profile) {
  return std::make_unique<PlainDevice>(std::move(profile));
}

}  // namespace otagate::sim

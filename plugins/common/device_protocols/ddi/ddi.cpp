#include "common/device_protocols/ddi/ddi.hpp"

#include <limits>
#include <optional>
#include <utility>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/ddi/exchange.hpp"
#include "common/device_protocols/ddi/messages.hpp"
#include "common/device_protocols/ddi/transcode.hpp"

namespace otagate::plugins::devices {
namespace {

constexpr std::size_t kMaxId = 256;

// The path behind the device's id.
struct Rest {
  const std::vector<std::string>& path;
  std::size_t size() const { return path.size() - 4; }
  const std::string& operator[](std::size_t index) const { return path[4 + index]; }
};

Response no_such_resource() { return problem(404, "there is no such resource in this API"); }

std::optional<std::uint64_t> action_of(std::string_view text) {
  const auto action = parse_number(text, std::numeric_limits<std::int64_t>::max());
  if (action == std::uint64_t{0}) return std::nullopt;
  return action;
}

// One request: which resource it is for, and whether it may be.
class Route {
 public:
  Route(const Request& request, std::shared_ptr<ddi::Exchange> exchange)
      : request_(request), rest_{request.path}, exchange_(std::move(exchange)) {}

  void go() {
    if (rest_.size() == 0) return only(Method::get) ? exchange_->poll() : void();
    const std::string& resource = rest_[0];
    if (resource == "deploymentBase") return with_action(&Route::deployment);
    if (resource == "cancelAction") return with_action(&Route::cancel);
    if (resource == "confirmationBase") return confirmation();
    if (resource == "configData" && rest_.size() == 1) return config_data();
    if (resource == "installedBase") return installed();
    if (resource == "softwaremodules") return artifacts();
    exchange_->answer(no_such_resource());
  }

 private:
  // False: answered.
  bool only(Method method) {
    if (request_.method == method) return true;
    exchange_->answer(method_not_allowed(method == Method::get    ? "GET"
                                         : method == Method::post ? "POST"
                                                                  : "PUT"));
    return false;
  }

  // What `parse` makes of the body; nothing: answered.
  template <class T>
  std::optional<T> body(std::optional<T> (*parse)(std::string_view, std::string&)) {
    const std::string_view type = request_.content_type;
    const bool cbor = type == "application/cbor";
    if (!cbor && !type.empty() && type != "application/json" && type != "application/hal+json") {
      exchange_->answer(problem(415, "send application/json or application/cbor"));
      return std::nullopt;
    }
    std::string wrong;
    const auto json =
        cbor ? ddi::json_of_cbor(request_.body, wrong) : std::optional<std::string>(request_.body);
    auto message = json ? parse(*json, wrong) : std::nullopt;
    if (!message) exchange_->answer(problem(400, wrong));
    return message;
  }

  void with_action(void (Route::*resource)(std::uint64_t action, bool feedback)) {
    const bool feedback = rest_.size() == 3 && rest_[2] == "feedback";
    if (!feedback && rest_.size() != 2) return exchange_->answer(no_such_resource());
    const auto action = action_of(rest_[1]);
    if (!action) return exchange_->answer(problem(404, "there is no such action"));
    if (only(feedback ? Method::post : Method::get)) (this->*resource)(*action, feedback);
  }

  void deployment(std::uint64_t action, bool feedback) {
    if (!feedback) return exchange_->deployment(action, false);
    if (auto message = body(&ddi::parse_feedback)) exchange_->feedback(action, std::move(*message));
  }

  void cancel(std::uint64_t action, bool feedback) {
    if (!feedback) return exchange_->cancel(action);
    if (const auto message = body(&ddi::parse_feedback)) exchange_->cancel_feedback(action, *message);
  }

  void confirmation() {
    if (rest_.size() == 1) return only(Method::get) ? exchange_->confirmation_base() : void();
    const bool activate = rest_[1] == "activateAutoConfirm";
    if (rest_.size() == 2 && (activate || rest_[1] == "deactivateAutoConfirm"))
      return only(Method::post) ? exchange_->auto_confirm(activate) : void();
    with_action(&Route::confirmation_action);
  }
  void confirmation_action(std::uint64_t action, bool feedback) {
    if (!feedback) return exchange_->deployment(action, true);
    if (auto message = body(&ddi::parse_confirmation)) exchange_->confirm(action, std::move(*message));
  }

  void config_data() {
    if (!only(Method::put)) return;
    if (auto message = body(&ddi::parse_config_data)) exchange_->config_data(std::move(*message));
  }

  void installed() {
    if (rest_.size() == 2) {
      const auto action = action_of(rest_[1]);
      if (!action) return exchange_->answer(problem(404, "there is no such action"));
      return only(Method::get) ? exchange_->installed_base(*action) : void();
    }
    if (rest_.size() != 1) return exchange_->answer(no_such_resource());
    if (!only(Method::put)) return;
    if (const auto message = body(&ddi::parse_assigned_version)) exchange_->installed(*message);
  }

  void artifacts() {
    if (rest_.size() < 3 || rest_.size() > 4 || rest_[2] != "artifacts")
      return exchange_->answer(no_such_resource());
    if (!only(Method::get)) return;
    if (rest_.size() == 3) return exchange_->artifacts(rest_[1]);
    exchange_->artifact(rest_[1], rest_[3]);
  }

  const Request& request_;
  const Rest rest_;
  const std::shared_ptr<ddi::Exchange> exchange_;
};

}  // namespace

Ddi::Ddi(Options options, std::shared_ptr<ddi::Memory> memory)
    : options_(std::move(options)), memory_(memory ? std::move(memory) : std::make_shared<ddi::Memory>()) {}

bool Ddi::serves(const std::vector<std::string>& path) const {
  return path.size() >= 4 && path[1] == "controller" && path[2] == "v1";
}

void Ddi::handle(const Request& request, Gateway& gateway, Respond respond) const {
  if (request.path[0] != options_.tenant)
    return respond(problem(404, "there is no such tenant here; the gateway's settings name the one it has"));
  if (request.path[3].empty() || request.path[3].size() > kMaxId)
    return respond(problem(400, "a controller's id has 1 to 256 bytes"));
  auto exchange = std::make_shared<ddi::Exchange>(request, options_.tenant, options_.confirmation, gateway,
                                                  memory_, std::move(respond));
  Route(request, std::move(exchange)).go();
}

}  // namespace otagate::plugins::devices

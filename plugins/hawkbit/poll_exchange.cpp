// What is said between gateway and server in one poll of one target.
#include <functional>
#include <string>
#include <utility>

#include "hawkbit/messages.hpp"
#include "hawkbit/poller.hpp"

namespace otagate::hawkbit {
namespace {

std::string with_state(std::string_view resource, const ActionLink& link) {
  std::string path = std::string(resource) + "/" + link.action;
  if (!link.state.empty()) path += "?c=" + link.state;
  return path;
}

// The action has ended between two requests: the next poll will say so.
bool is_over(const Refusal& refusal) { return refusal.status == OTAGATE_NOT_FOUND; }

Refusal unreadable(common::Failure failure) { return {std::move(failure), false, 200}; }

}  // namespace

bool Poller::keep(Poll& poll, Refusal refusal) {
  const bool first = !poll.target.failing;
  if (first && !refusal.of_server && refusal.status != OTAGATE_CANCELLED)
    host_.event(OTAGATE_LOG_WARN, "target_refused", poll.device, refusal.message);
  poll.refusal = std::move(refusal);
  return false;
}

bool Poller::exchange(Poll& poll) {
  host_.count("polls");
  const auto answer = server_.get(poll.device, "", stopping());
  if (!answer) return keep(poll, answer.error());
  const auto base = parse_base(*answer);
  if (!base) return keep(poll, unreadable(base.error()));
  if (base->sleep_seconds) poll.interval = std::chrono::seconds(*base->sleep_seconds);
  notice_withdrawal(poll, *base);
  if (base->cancel && !follow_cancel(poll, *base->cancel)) return false;
  if (base->deployment) {
    if (!follow_deployment(poll, *base->deployment, false)) return false;
  } else if (base->confirmation) {
    if (!follow_deployment(poll, *base->confirmation, true)) return false;
  }
  return (!base->config_data && !poll.target.attributes_changed) || send_attributes(poll);
}

// An action that was ended by force, or whose target was taken away and given back, is just no longer there.
void Poller::notice_withdrawal(Poll& poll, const Base& base) {
  const std::string& action = poll.target.assigned.action;
  if (action.empty() || base.cancel) return;
  if ((base.deployment && base.deployment->action == action) ||
      (base.confirmation && base.confirmation->action == action))
    return;
  if (!has_closed(poll.device, action)) host_.unassign(action);
  poll.target.assigned = {};
}

// Said at each poll until the server has been answered: the host may have missed it.
bool Poller::follow_cancel(Poll& poll, const ActionLink& link) {
  const auto answer = server_.get(poll.device, "cancelAction/" + link.action, stopping());
  if (!answer) return is_over(answer.error()) || keep(poll, answer.error());
  const auto cancel = parse_cancel(*answer);
  if (!cancel) return keep(poll, unreadable(cancel.error()));
  remember_now(poll.device, [&](Target& target) { target.cancel = *cancel; });
  poll.target.cancel = *cancel;
  if (!has_closed(poll.device, cancel->stop)) host_.unassign(cancel->stop);
  return true;
}

bool Poller::follow_deployment(Poll& poll, const ActionLink& link, bool consent) {
  if (!link.state.empty() && poll.target.assigned == link && poll.target.consent == consent) return true;
  const auto answer =
      server_.get(poll.device, with_state(consent ? "confirmationBase" : "deploymentBase", link), stopping());
  if (!answer) return is_over(answer.error()) || keep(poll, answer.error());
  // hawkBit's state is another one after each report, too: what it leads to has not changed by that.
  const std::size_t content = std::hash<std::string>{}(*answer);
  if (poll.target.assigned.action == link.action && poll.target.consent == consent &&
      poll.target.content == content) {
    poll.target.assigned = link;
    return true;
  }
  const auto deployment = parse_deployment(*answer);
  if (!deployment) return keep(poll, unreadable(deployment.error()));
  if (deployment->action != link.action)
    return keep(
        poll,
        {{OTAGATE_PERMANENT, "the server's deployment has another number than its link", 0}, false, 200});
  if (deployment->download == common::ddi::Handling::skip) return true;
  auto wish = make_assignment(*deployment, poll.device, server_.tenant(), options_.components, consent);
  if (!wish) return refuse(poll, link, consent, wish.error().message);
  if (has_closed(poll.device, link.action)) return true;
  artifacts_.exchange_places(*wish);
  host_.count("assignments");
  const ActionLink before = poll.target.assigned;
  const auto assigned = [&](Target& target) {
    target.assigned = link;
    target.content = content;
    target.consent = consent;
    target.download_only = wish->mode == OTAGATE_ASSIGN_DOWNLOAD_ONLY;
  };
  assigned(poll.target);
  remember_now(poll.device, assigned);
  // A host that has no room now is told again at the next poll.
  if (!host_.assign(*wish)) {
    poll.target.assigned = before;
    poll.target.content = 0;
  }
  return true;
}

bool Poller::refuse(Poll& poll, const ActionLink& link, bool consent, const std::string& why) {
  host_.event(OTAGATE_LOG_WARN, "assignment_refused", poll.device, "action " + link.action + ": " + why);
  Message message = refusal_message(link.action, why);
  if (consent) {
    sdk::Feedback denied;
    denied.kind = OTAGATE_FEEDBACK_DENIED;
    denied.external_id = link.action;
    denied.message = why;
    message = feedback_message(denied, "").value_or(message);
  }
  const auto posted = server_.post(poll.device, message, stopping());
  if (!posted && !is_over(posted.error())) return keep(poll, posted.error());
  poll.target.assigned = link;
  poll.target.consent = consent;
  return true;
}

bool Poller::send_attributes(Poll& poll) {
  const auto sent = server_.put(poll.device, {"configData", poll.target.attributes}, stopping());
  if (!sent && (sent.error().of_server || sent.error().http_status == 0)) return keep(poll, sent.error());
  // What the server does not take now it will not take at the next poll either.
  poll.attributes_sent = true;
  if (!sent) host_.warn("attributes of '" + poll.device + "': " + sent.error().message);
  return true;
}

}  // namespace otagate::hawkbit

#include "api/fleet_handlers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>

#include "api/answers.hpp"
#include "api/device_edits.hpp"
#include "api/views.hpp"
#include "rollout/spec.hpp"

namespace otagate::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxExport = 100'000;  // devices in one CSV
constexpr std::size_t kMaxWhy = 1000;        // bytes

using Attempts = std::vector<rollout::AttemptView>;

Result<rollout::DeviceQuery> device_query(const Request& request) {
  const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
  if (!limit) return fail(limit.error());
  rollout::DeviceQuery query;
  query.prefix = request.parameter("prefix");
  query.type = request.parameter("type");
  query.tag = request.parameter("tag");
  query.transport = request.parameter("transport");
  query.component = request.parameter("component");
  query.version = request.parameter("version");
  query.cursor = request.parameter("cursor");
  query.limit = *limit;
  if (const std::string_view text = request.parameter("approval"); !text.empty()) {
    rollout::Approval approval{};
    if (!parse_enum(text, rollout::Approval::blocked, approval))
      return fail(Code::invalid, "approval: write pending, approved or blocked");
    query.approval = approval;
  }
  return query;
}

bool wants_csv(const Request& request) {
  const std::string_view format = request.parameter("format");
  return format.empty() ? media_type(request.accept) == "text/csv" : format == "csv";
}

// Every page after the first has its cursor; all devices in one answer.
void export_csv(Backend& backend, rollout::DeviceQuery query,
                const std::shared_ptr<std::vector<rollout::DeviceView>>& all, Respond respond) {
  backend.devices(
      query, [&backend, query, all, respond = std::move(respond)](Result<rollout::DevicePage> page) mutable {
        if (!page) return respond(error_response(page.error()));
        for (rollout::DeviceView& device : page->items) all->push_back(std::move(device));
        if (all->size() > kMaxExport) {
          return respond(error_response(Error(
              Code::busy, "more than " + std::to_string(kMaxExport) + " devices: narrow it by a filter")));
        }
        if (page->next.empty())
          return respond({200, "text/csv; charset=utf-8; header=present", to_csv(*all), 0});
        query.cursor = page->next;
        export_csv(backend, std::move(query), all, std::move(respond));
      });
}

void list_devices(Backend& backend, const Request& request, Respond respond) {
  auto query = device_query(request);
  if (!query) return respond(error_response(query.error()));
  if (const std::string_view format = request.parameter("format");
      !format.empty() && format != "csv" && format != "json")
    return respond(error_response(Error(Code::invalid, "format: write json or csv")));
  if (wants_csv(request)) {
    query->limit = kMostPage;
    return export_csv(backend, std::move(*query), std::make_shared<std::vector<rollout::DeviceView>>(),
                      std::move(respond));
  }
  backend.devices(
      std::move(*query), answer<rollout::DevicePage>(std::move(respond), [](const rollout::DevicePage& page) {
        return json::object{{"items", array_of(page.items)},
                            {"next", page.next.empty() ? json::value(nullptr) : json::value(page.next)},
                            {"devices", page.devices}};
      }));
}

void write_devices(Backend& backend, const Request& request, Respond respond) {
  if (!request.content_type.empty() && request.content_type != "application/json" &&
      request.content_type != "text/csv") {
    Response response =
        error_response(Error(Code::invalid, "Content-Type: send application/json or text/csv"));
    response.status = 415;
    return respond(std::move(response));
  }
  auto edits =
      request.content_type == "text/csv" ? parse_device_csv(request.body) : parse_device_edits(request.body);
  if (!edits) return respond(error_response(edits.error()));
  const std::size_t count = edits->size();
  backend.edit_devices(std::move(*edits),
                       answer<std::uint64_t>(std::move(respond), [count](std::uint64_t made) {
                         return json::object{{"devices", count}, {"made", made}};
                       }));
}

// Of a device that is there; answers with what it is afterwards.
void edit_known(Backend& backend, rollout::DeviceEdit edit, Respond respond) {
  const std::string id = edit.id;
  backend.device(id, [&backend, id, edit = std::move(edit),
                      respond = std::move(respond)](Result<rollout::DeviceView> known) mutable {
    if (!known) return respond(error_response(known.error()));
    std::vector<rollout::DeviceEdit> edits;
    edits.push_back(std::move(edit));
    backend.edit_devices(
        std::move(edits), [&backend, id, respond = std::move(respond)](Result<std::uint64_t> done) mutable {
          if (!done) return respond(error_response(done.error()));
          backend.device(
              id, answer<rollout::DeviceView>(
                      std::move(respond), [](const rollout::DeviceView& device) { return to_json(device); }));
        });
  });
}

void patch_device(Backend& backend, const Request& request, Respond respond) {
  const auto body = body_of(request);
  if (!body) return respond(error_response(body.error()));
  auto edit = parse_device_edit(*body);
  if (!edit) return respond(error_response(edit.error()));
  if (!edit->id.empty() && edit->id != request.path[0])
    return respond(error_response(Error(Code::invalid, "id: a device keeps its id; leave it out")));
  edit->id = request.path[0];
  edit_known(backend, std::move(*edit), std::move(respond));
}

void list_attempts(Backend& backend, const Request& request, std::string device, std::int64_t deployment,
                   Respond respond) {
  const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
  const auto before = number_parameter(request, "before", 0, 0, INT64_MAX);
  for (const auto* number : {&limit, &before}) {
    if (!*number) return respond(error_response(number->error()));
  }
  backend.attempts(std::move(device), deployment, *before, *limit,
                   answer<Attempts>(std::move(respond), [limit = *limit](const Attempts& attempts) {
                     json::object body{{"items", array_of(attempts)}, {"next", nullptr}};
                     if (attempts.size() == limit) body["next"] = attempts.back().id;
                     return body;
                   }));
}

// The {} of a deployment's path.
Result<std::int64_t> deployment_of(const Request& request) {
  const std::string& text = request.path[0];
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id <= 0)
    return fail(Code::invalid, "a deployment is named by its number");
  return id;
}

auto show_deployment(Respond respond) {
  return answer<rollout::DeploymentView>(
      std::move(respond), [](const rollout::DeploymentView& deployment) { return to_json(deployment); });
}

void list_deployments(Backend& backend, const Request& request, Respond respond) {
  const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
  const auto before = number_parameter(request, "before", 0, 0, INT64_MAX);
  for (const auto* number : {&limit, &before}) {
    if (!*number) return respond(error_response(number->error()));
  }
  const std::string_view over = request.parameter("over");
  if (!over.empty() && over != "true" && over != "false")
    return respond(error_response(Error(Code::invalid, "over: write true or false")));
  rollout::DeploymentQuery query;
  query.over = over != "false";
  query.before = static_cast<std::int64_t>(*before);
  query.limit = *limit;
  using Views = std::vector<rollout::DeploymentView>;
  backend.deployments(query, answer<Views>(std::move(respond), [limit = *limit](const Views& views) {
                        json::object body{{"items", array_of(views)}, {"next", nullptr}};
                        if (views.size() == limit) body["next"] = views.back().id;
                        return body;
                      }));
}

void deploy(Backend& backend, const Request& request, Respond respond) {
  auto spec = rollout::parse_spec(request.body);
  if (!spec) return respond(error_response(spec.error()));
  const std::string_view dry = request.parameter("dry_run");
  if (!dry.empty() && dry != "true" && dry != "false")
    return respond(error_response(Error(Code::invalid, "dry_run: write true or false")));
  if (dry == "true") {
    return backend.preview(std::move(*spec),
                           answer<rollout::Preview>(std::move(respond), [](const rollout::Preview& preview) {
                             return to_json(preview);
                           }));
  }
  backend.deploy(std::move(*spec), [&backend, respond = std::move(respond)](Result<std::int64_t> id) mutable {
    if (!id) return respond(error_response(id.error()));
    backend.deployment(*id, [respond = std::move(respond)](Result<rollout::DeploymentView> view) {
      if (!view)
        respond(error_response(view.error()));
      else
        respond(created(to_json(*view)));
    });
  });
}

void list_members(Backend& backend, const Request& request, Respond respond) {
  const auto id = deployment_of(request);
  if (!id) return respond(error_response(id.error()));
  const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
  if (!limit) return respond(error_response(limit.error()));
  using Members = std::vector<rollout::MemberView>;
  backend.members(*id, std::string(request.parameter("after")), *limit,
                  answer<Members>(std::move(respond), [limit = *limit](const Members& members) {
                    json::object body{{"items", array_of(members)}, {"next", nullptr}};
                    if (members.size() == limit) body["next"] = members.back().device;
                    return body;
                  }));
}

void act(Backend& backend, DeploymentAction action, const Request& request, Respond respond) {
  const auto id = deployment_of(request);
  if (!id) return respond(error_response(id.error()));
  const auto body = body_of(request);
  if (!body) return respond(error_response(body.error()));
  std::string why = text_of(*body, "why");
  if (why.size() > kMaxWhy)
    return respond(
        error_response(Error(Code::invalid, "why: at most " + std::to_string(kMaxWhy) + " bytes")));
  backend.act(*id, action, std::move(why), show_deployment(std::move(respond)));
}

}  // namespace

void add_devices(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/devices", [&backend](const Request& request, Respond respond) {
    list_devices(backend, request, std::move(respond));
  });
  router.add(
      "POST", "/api/v1/devices",
      [&backend](const Request& request, Respond respond) {
        write_devices(backend, request, std::move(respond));
      },
      kMaxLargeBody);
  router.add("GET", "/api/v1/devices/{}", [&backend](const Request& request, Respond respond) {
    backend.device(request.path[0],
                   answer<rollout::DeviceView>(std::move(respond), [](const rollout::DeviceView& device) {
                     return to_json(device);
                   }));
  });
  router.add("PATCH", "/api/v1/devices/{}", [&backend](const Request& request, Respond respond) {
    patch_device(backend, request, std::move(respond));
  });
  router.add("DELETE", "/api/v1/devices/{}", [&backend](const Request& request, Respond respond) {
    backend.remove_device(request.path[0], answer_done(std::move(respond)));
  });
  const auto add_approval = [&](std::string_view pattern, rollout::Approval approval) {
    router.add("POST", pattern, [&backend, approval](const Request& request, Respond respond) {
      rollout::DeviceEdit edit;
      edit.id = request.path[0];
      edit.approval = approval;
      edit_known(backend, std::move(edit), std::move(respond));
    });
  };
  add_approval("/api/v1/devices/{}/approve", rollout::Approval::approved);
  add_approval("/api/v1/devices/{}/block", rollout::Approval::blocked);
  router.add("POST", "/api/v1/devices/{}/token", [&backend](const Request& request, Respond respond) {
    backend.make_token(request.path[0], answer<std::string>(std::move(respond), [](const std::string& token) {
                         return json::object{{"token", token}};
                       }));
  });
  router.add("DELETE", "/api/v1/devices/{}/token", [&backend](const Request& request, Respond respond) {
    backend.revoke_token(request.path[0], answer_done(std::move(respond)));
  });
  router.add("GET", "/api/v1/devices/{}/attempts", [&backend](const Request& request, Respond respond) {
    list_attempts(backend, request, request.path[0], 0, std::move(respond));
  });
}

void add_deployments(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/deployments", [&backend](const Request& request, Respond respond) {
    list_deployments(backend, request, std::move(respond));
  });
  router.add(
      "POST", "/api/v1/deployments",
      [&backend](const Request& request, Respond respond) { deploy(backend, request, std::move(respond)); },
      kMaxLargeBody);
  router.add("GET", "/api/v1/deployments/{}", [&backend](const Request& request, Respond respond) {
    const auto id = deployment_of(request);
    if (!id) return respond(error_response(id.error()));
    backend.deployment(*id, show_deployment(std::move(respond)));
  });
  router.add("GET", "/api/v1/deployments/{}/devices", [&backend](const Request& request, Respond respond) {
    list_members(backend, request, std::move(respond));
  });
  router.add("GET", "/api/v1/deployments/{}/attempts", [&backend](const Request& request, Respond respond) {
    const auto id = deployment_of(request);
    if (!id) return respond(error_response(id.error()));
    list_attempts(backend, request, "", *id, std::move(respond));
  });
  const auto add_action = [&](std::string_view pattern, DeploymentAction action) {
    router.add("POST", pattern, [&backend, action](const Request& request, Respond respond) {
      act(backend, action, request, std::move(respond));
    });
  };
  add_action("/api/v1/deployments/{}/approve", DeploymentAction::approve);
  add_action("/api/v1/deployments/{}/pause", DeploymentAction::pause);
  add_action("/api/v1/deployments/{}/resume", DeploymentAction::resume);
  add_action("/api/v1/deployments/{}/abort", DeploymentAction::abort);
  add_action("/api/v1/deployments/{}/retry", DeploymentAction::retry);
  router.add("GET", "/api/v1/attempts", [&backend](const Request& request, Respond respond) {
    const auto deployment = number_parameter(request, "deployment", 0, 1, INT64_MAX);
    if (!deployment) return respond(error_response(deployment.error()));
    list_attempts(backend, request, std::string(request.parameter("device")),
                  static_cast<std::int64_t>(*deployment), std::move(respond));
  });
}

}  // namespace otagate::api

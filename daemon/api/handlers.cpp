#include "api/handlers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/answers.hpp"
#include "api/fleet_handlers.hpp"
#include "api/openapi.hpp"
#include "api/views.hpp"
#include "config/render.hpp"

namespace otagate::api {

namespace json = boost::json;

namespace {

// The {} of a blob's path.
Result<Digest> digest_of(const Request& request) {
  const auto digest = Digest::parse(request.path.empty() ? "" : request.path.front());
  if (!digest) return fail(Code::invalid, "a blob is named by its SHA-256: 64 hex digits");
  return *digest;
}

// The firmware that the path and ?type= mean, or an answer that says why it is not one.
void one_firmware(Backend& backend, const Request& request, const Respond& respond,
                  std::function<void(std::int64_t id)> then) {
  backend.resolve(
      request.path[0], request.path[1], std::string(request.parameter("type")),
      [respond, then = std::move(then)](Result<std::vector<FirmwareView>> found) {
        if (!found) return respond(error_response(found.error()));
        if (found->size() == 1) return then(found->front().firmware.id);
        respond(error_response(
            Error(Code::ambiguous, "several device types have that name and version; say which by ?type=")));
      });
}

void add_status(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/status",
             [&backend](const Request&, const Respond& respond) { respond(ok(to_json(backend.status()))); });
  router.add("GET", "/api/v1/plugins", [&backend](const Request&, const Respond& respond) {
    respond(ok(json::object{{"plugins", array_of(backend.plugins())},
                            {"instances", array_of(backend.instances())}}));
  });
  router.add("GET", "/api/v1/config", [&backend](const Request&, const Respond& respond) {
    respond({200, "application/json", to_redacted_json(backend.config()), 0});
  });
  router.add("POST", "/api/v1/config/reload", [&backend](const Request&, Respond respond) {
    backend.reload(answer<std::vector<std::string>>(std::move(respond), [](const auto& keys) {
      json::array restart;
      for (const std::string& key : keys) restart.emplace_back(key);
      return json::object{{"needs_restart", std::move(restart)}};
    }));
  });
  router.add("PUT", "/api/v1/log", [&backend](const Request& request, const Respond& respond) {
    auto body = body_of(request);
    if (!body) return respond(error_response(body.error()));
    if (auto set = backend.set_log_level(text_of(*body, "module"), text_of(*body, "level")); !set)
      return respond(error_response(set.error()));
    respond(ok(json::object{{"done", true}}));
  });
  router.add("POST", "/api/v1/state/backup", [&backend](const Request&, Respond respond) {
    backend.backup_state(answer<std::string>(std::move(respond), [](const std::string& path) {
      return json::object{{"path", path}};
    }));
  });
  router.add("POST", "/api/v1/state/restore", [&backend](const Request& request, Respond respond) {
    auto body = body_of(request);
    if (!body) return respond(error_response(body.error()));
    const std::string from = text_of(*body, "path");
    if (from.empty() || from.front() != '/')
      return respond(error_response(Error(Code::invalid, "path: write the absolute path of a backup")));
    backend.restore_state(from, answer_done(std::move(respond)));
  });
  router.add("GET", "/api/v1/openapi.json", [](const Request&, const Respond& respond) {
    respond({200, "application/json", std::string(kOpenapi), 0});
  });
}

void add_stores(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/stores", [&backend](const Request&, const Respond& respond) {
    respond(ok(json::object{{"items", array_of(backend.stores())}}));
  });
  router.add("POST", "/api/v1/stores/{}/sync", [&backend](const Request& request, Respond respond) {
    backend.sync_store(request.path[0], answer_done(std::move(respond)));
  });
  router.add("GET", "/api/v1/stores/{}/objects", [&backend](const Request& request, Respond respond) {
    const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
    if (!limit) return respond(error_response(limit.error()));
    const bool skipped = request.parameter("skipped") == "true";
    backend.objects(
        request.path[0], std::string(request.parameter("after")), *limit, skipped,
        answer<std::vector<state::Object>>(std::move(respond), [limit = *limit](const auto& objects) {
          json::object body{{"items", array_of(objects)}, {"next", nullptr}};
          if (objects.size() == limit) body["next"] = objects.back().key;
          return body;
        }));
  });
}

void add_firmware(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/firmware", [&backend](const Request& request, Respond respond) {
    const auto limit = number_parameter(request, "limit", kPage, 1, kMostPage);
    if (!limit) return respond(error_response(limit.error()));
    FirmwareQuery query;
    query.name = request.parameter("name");
    query.type = request.parameter("type");
    query.store = request.parameter("store");
    query.cursor = request.parameter("cursor");
    query.shadowed = request.parameter("all") == "true";
    query.limit = *limit;
    backend.catalog(std::move(query), answer<FirmwarePage>(std::move(respond), [](const FirmwarePage& page) {
                      return json::object{
                          {"items", array_of(page.items)},
                          {"next", page.next.empty() ? json::value(nullptr) : json::value(page.next)}};
                    }));
  });
  router.add("GET", "/api/v1/firmware/{}/{}", [&backend](const Request& request, Respond respond) {
    backend.resolve(request.path[0], request.path[1], std::string(request.parameter("type")),
                    answer<std::vector<FirmwareView>>(std::move(respond), [](const auto& found) {
                      return json::object{{"items", array_of(found)}};
                    }));
  });
  router.add("POST", "/api/v1/firmware/{}/{}/fetch",
             [&backend](const Request& request, const Respond& respond) {
               one_firmware(backend, request, respond, [&backend, respond](std::int64_t id) {
                 backend.fetch(id, answer<cache::BlobRecord>(respond, [](const cache::BlobRecord& blob) {
                                 return json::object{{"sha256", blob.digest.hex()}, {"size", blob.size}};
                               }));
               });
             });
}

// How many of a list are new or changed.
json::object imported(std::uint64_t changed) { return {{"changed", changed}}; }

void add_imports(Router& router, Backend& backend) {
  router.add_upload("PUT", "/api/v1/blobs/{}",
                    [&backend](const Request& request, std::uint64_t size, Respond respond) -> UniqueFd {
                      const auto digest = digest_of(request);
                      if (!digest) {
                        respond(error_response(digest.error()));
                        return {};
                      }
                      return backend.receive_blob(*digest, size, answer_done(std::move(respond)));
                    });
  router.add("GET", "/api/v1/blobs/{}/content", [&backend](const Request& request, Respond respond) {
    const auto digest = digest_of(request);
    if (!digest) return respond(error_response(digest.error()));
    backend.open_blob(*digest, [respond = std::move(respond)](Result<BlobBytes> bytes) {
      if (!bytes) return respond(error_response(bytes.error()));
      Response response;
      response.content_type = "application/octet-stream";
      response.file = FileBody{std::move(bytes->hold), bytes->fd, bytes->size};
      respond(std::move(response));
    });
  });
  router.add(
      "POST", "/api/v1/firmware",
      [&backend](const Request& request, Respond respond) {
        auto list = firmware::parse_import_list(request.body);
        if (!list) return respond(error_response(list.error()));
        backend.import_firmware(std::move(*list), answer<std::uint64_t>(std::move(respond), imported));
      },
      kMaxLargeBody);
  router.add(
      "POST", "/api/v1/bundles",
      [&backend](const Request& request, Respond respond) {
        const auto body = body_of(request);
        if (!body) return respond(error_response(body.error()));
        const json::value* replace = body->if_contains("replace");
        backend.import_bundle(text_of(*body, "manifest"), text_of(*body, "signature"),
                              replace != nullptr && replace->is_bool() && replace->get_bool(),
                              answer<std::uint64_t>(std::move(respond), imported));
      },
      kMaxLargeBody);
  router.add("DELETE", "/api/v1/firmware/{}/{}", [&backend](const Request& request, Respond respond) {
    backend.remove_firmware(request.path[0], request.path[1], std::string(request.parameter("type")),
                            answer_done(std::move(respond)));
  });
  router.add(
      "POST", "/api/v1/firmware/{}/{}/publish", [&backend](const Request& request, const Respond& respond) {
        const std::string store(request.parameter("store"));
        if (store.empty())
          return respond(error_response(Error(Code::invalid, "store: say into which, by ?store=")));
        one_firmware(
            backend, request, respond,
            [&backend, store, key = std::string(request.parameter("key")), respond](std::int64_t id) {
              backend.publish(id, store, key, answer<PublishedView>(respond, [](const PublishedView& made) {
                                return json::object{{"store", made.store},
                                                    {"key", made.key},
                                                    {"change_token", made.change_token}};
                              }));
            });
      });
}

void add_cache(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/cache", [&backend](const Request&, const Respond& respond) {
    json::object body = to_json(backend.cache_stats());
    const config::Config config = backend.config();
    body["dir"] = config.cache.dir.string();
    body["max_size"] = config.cache.max_size;
    respond(ok(body));
  });
  router.add("GET", "/api/v1/blobs", [&backend](const Request&, const Respond& respond) {
    respond(ok(json::object{{"items", array_of(backend.blobs())}}));
  });
  router.add("GET", "/api/v1/blobs/{}", [&backend](const Request& request, const Respond& respond) {
    const auto digest = digest_of(request);
    if (!digest) return respond(error_response(digest.error()));
    const auto blob = backend.blob(*digest);
    if (!blob) return respond(error_response(Error(Code::not_found, "no such blob in the cache")));
    respond(ok(to_json(*blob)));
  });
  using Action = void (Backend::*)(const Digest&, Backend::Reply<void>);
  const auto add_action = [&](std::string method, std::string_view pattern, Action action) {
    router.add(std::move(method), pattern, [&backend, action](const Request& request, Respond respond) {
      const auto digest = digest_of(request);
      if (!digest) return respond(error_response(digest.error()));
      (backend.*action)(*digest, answer_done(std::move(respond)));
    });
  };
  add_action("DELETE", "/api/v1/blobs/{}", &Backend::evict);
  add_action("POST", "/api/v1/blobs/{}/verify", &Backend::verify);
  add_action("DELETE", "/api/v1/blobs/{}/pin", &Backend::unpin);
  router.add("PUT", "/api/v1/blobs/{}/pin", [&backend](const Request& request, Respond respond) {
    const auto digest = digest_of(request);
    if (!digest) return respond(error_response(digest.error()));
    const auto body = body_of(request);
    if (!body) return respond(error_response(body.error()));
    backend.pin(*digest, text_of(*body, "reason"), answer_done(std::move(respond)));
  });
  router.add("GET", "/api/v1/fills", [&backend](const Request&, const Respond& respond) {
    respond(ok(json::object{{"items", array_of(backend.fills())}}));
  });
}

void add_events(Router& router, Backend& backend) {
  router.add("GET", "/api/v1/events", [&backend](const Request& request, Respond respond) {
    const auto limit = number_parameter(request, "limit", kPage, 1, state::kEventPage);
    const auto after = number_parameter(request, "after", 0, 0, INT64_MAX);
    const auto before = number_parameter(request, "before", 0, 0, INT64_MAX);
    for (const auto* number : {&limit, &after, &before}) {
      if (!*number) return respond(error_response(number->error()));
    }
    state::EventQuery query;
    if (!request.parameter("after").empty()) query.after = static_cast<std::int64_t>(*after);
    if (!request.parameter("before").empty()) query.before = static_cast<std::int64_t>(*before);
    if (!request.parameter("kind").empty()) query.kind = std::string(request.parameter("kind"));
    query.limit = *limit;
    backend.events(
        query, answer<std::vector<state::Event>>(std::move(respond), [limit = *limit](const auto& events) {
          json::object body{{"items", array_of(events)}, {"next", nullptr}};
          if (events.size() == limit) body["next"] = events.back().sequence;
          return body;
        }));
  });
}

}  // namespace

Router make_router(Backend& backend) {
  Router router;
  add_status(router, backend);
  add_stores(router, backend);
  add_firmware(router, backend);
  add_imports(router, backend);
  add_cache(router, backend);
  add_events(router, backend);
  add_devices(router, backend);
  add_deployments(router, backend);
  return router;
}

}  // namespace otagate::api

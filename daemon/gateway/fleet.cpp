#include "gateway/fleet.hpp"

#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

constexpr std::uint64_t kPartMask = 15;

}  // namespace

Fleet::Fleet(state::Database& db, Catalog& catalog, Credentials& credentials, EventLog& events,
             FleetHost& host)
    : core_(std::make_shared<Core>(db, catalog, credentials, events, host)) {}

Fleet::~Fleet() { stop(); }

Result<void> Fleet::start(const config::Devices& config) { return core_->start(config); }
void Fleet::stop() { core_->stop(); }

void Fleet::reload(const config::Devices& config) {
  core_->post([core = core_.get(), config] { core->configure(config); });
}

void Fleet::catalog_changed() {
  core_->post([core = core_.get()] { core->catalog_changed(); });
}

FleetCounts Fleet::counts() const { return core_->counts(); }

std::optional<FleetPart> Fleet::open_part(std::uint64_t handle) const {
  const std::uint64_t bare = handle & ~kPartBit;
  return core_->open_part(bare >> 4, static_cast<std::uint32_t>(bare & kPartMask));
}

bool Fleet::is_offered(const Digest& digest, const Principal& principal) const {
  return core_->is_offered(digest, principal);
}

void Fleet::check_in(std::string_view instance, std::shared_ptr<const Principal> principal,
                     plugin::CheckIn check_in, Reply<plugin::Offer> reply) {
  auto request = std::make_shared<Core::CheckIn>();
  request->instance = instance;
  request->principal = std::move(principal);
  request->in = std::move(check_in);
  request->reply = std::move(reply);
  core_->request(request->reply, [core = core_.get(), request] { core->check_in(request); });
}

void Fleet::progress(std::string_view instance, std::shared_ptr<const Principal> principal,
                     plugin::Progress progress, const Reply<std::uint32_t>& reply) {
  core_->request(reply, [core = core_.get(), instance = std::string(instance),
                         principal = std::move(principal), progress = std::move(progress),
                         reply] { core->progress(instance, principal, progress, reply); });
}

void Fleet::set_assigner(std::string store, config::StoreAssignments settings) {
  core_->post([core = core_.get(), store = std::move(store), settings = std::move(settings)] {
    core->set_assigner(store, settings);
  });
}

void Fleet::remove_assigner(std::string store) {
  core_->post([core = core_.get(), store = std::move(store)] { core->remove_assigner(store); });
}

bool Fleet::assigned(std::string store, plugin::Assignment said) {
  return core_->post_wish([core = core_.get(), store = std::move(store), said = std::move(said)] {
    core->assigned(store, said);
  });
}

bool Fleet::unassigned(std::string store, std::string external_id) {
  return core_->post_wish([core = core_.get(), store = std::move(store), id = std::move(external_id)] {
    core->unassigned(store, id);
  });
}

void Fleet::told_that_agreed(std::string store, std::string external_id) {
  core_->post([core = core_.get(), store = std::move(store), id = std::move(external_id)] {
    core->told_that_agreed(store, id);
  });
}

void Fleet::devices(rollout::DeviceQuery query, const Reply<rollout::DevicePage>& reply) {
  core_->request(reply,
                 [core = core_.get(), query = std::move(query), reply] { core->devices(query, reply); });
}

void Fleet::device(std::string id, const Reply<rollout::DeviceView>& reply) {
  core_->request(reply, [core = core_.get(), id = std::move(id), reply] { core->device(id, reply); });
}

void Fleet::edit_devices(std::vector<rollout::DeviceEdit> edits, const Reply<std::uint64_t>& reply) {
  core_->request(reply,
                 [core = core_.get(), edits = std::move(edits), reply] { core->edit_devices(edits, reply); });
}

void Fleet::remove_device(std::string id, const Reply<void>& reply) {
  core_->request(reply, [core = core_.get(), id = std::move(id), reply] { core->remove_device(id, reply); });
}

void Fleet::make_token(std::string id, const Reply<std::string>& reply) {
  core_->request(reply, [core = core_.get(), id = std::move(id), reply] { core->make_token(id, reply); });
}

void Fleet::revoke_token(std::string id, const Reply<void>& reply) {
  core_->request(reply, [core = core_.get(), id = std::move(id), reply] { core->revoke_token(id, reply); });
}

void Fleet::deploy(rollout::Spec spec, const Reply<std::int64_t>& reply) {
  core_->request(reply, [core = core_.get(), spec = std::move(spec), reply] { core->deploy(spec, reply); });
}

void Fleet::preview(rollout::Spec spec, const Reply<rollout::Preview>& reply) {
  core_->request(reply, [core = core_.get(), spec = std::move(spec), reply] { core->preview(spec, reply); });
}

void Fleet::deployments(rollout::DeploymentQuery query,
                        const Reply<std::vector<rollout::DeploymentView>>& reply) {
  core_->request(reply, [core = core_.get(), query, reply] { core->deployments(query, reply); });
}

void Fleet::deployment(std::int64_t id, const Reply<rollout::DeploymentView>& reply) {
  core_->request(reply, [core = core_.get(), id, reply] { core->deployment(id, reply); });
}

void Fleet::members(std::int64_t id, std::string after, std::size_t limit,
                    const Reply<std::vector<rollout::MemberView>>& reply) {
  core_->request(reply, [core = core_.get(), id, after = std::move(after), limit, reply] {
    core->members(id, after, limit, reply);
  });
}

void Fleet::attempts(std::string device, std::int64_t deployment, std::uint64_t before, std::size_t limit,
                     const Reply<std::vector<rollout::AttemptView>>& reply) {
  core_->request(reply, [core = core_.get(), device = std::move(device), deployment, before, limit, reply] {
    core->attempts(device, deployment, before, limit, reply);
  });
}

void Fleet::act(std::int64_t id, Action action, std::string why,
                const Reply<rollout::DeploymentView>& reply) {
  core_->request(reply, [core = core_.get(), id, action, why = std::move(why), reply] {
    core->act(id, action, why, reply);
  });
}

}  // namespace otagate::gateway

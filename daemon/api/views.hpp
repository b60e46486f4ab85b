// The JSON of the admin API, one function per schema of the description (openapi.json).
#pragma once

#include <boost/json/fwd.hpp>

#include "api/backend.hpp"

namespace otagate::api {

boost::json::object to_json(const StatusView& status);
boost::json::object to_json(const plugin::PluginInfo& plugin);
boost::json::object to_json(const plugin::InstanceStatus& instance);
boost::json::object to_json(const StoreView& store);
boost::json::object to_json(const state::Object& object);
boost::json::object to_json(const FirmwareView& firmware);
boost::json::object to_json(const cache::BlobRecord& blob);
boost::json::object to_json(const cache::FillInfo& fill);
boost::json::object to_json(const cache::Stats& stats);
boost::json::object to_json(const state::Event& event);
boost::json::object to_json(const rollout::AttemptView& attempt);
boost::json::object to_json(const rollout::DeviceView& device);
boost::json::object to_json(const rollout::DeploymentView& deployment);
boost::json::object to_json(const rollout::MemberView& member);
boost::json::object to_json(const rollout::Preview& preview);

}  // namespace otagate::api

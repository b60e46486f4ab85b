// What a plugin holds of the host: the table and a context that stays valid whatever it does.
#pragma once

#include <memory>

#include "otagate/plugin.h"

namespace otagate::plugin {

class InstanceBase;

// One per instance that was ever created, and never freed: a plugin that calls back after its instance
// is gone finds nobody at home instead of freed memory. A few hundred bytes each.
struct HostContext {
  otagate_instance instance = 0;
  otagate_host table{};
  std::weak_ptr<InstanceBase> owner;  // constant
};

HostContext* make_host_context(const std::shared_ptr<InstanceBase>& owner);

// The instance behind a table's context; null when it is gone.
std::shared_ptr<InstanceBase> instance_of(void* context);

}  // namespace otagate::plugin

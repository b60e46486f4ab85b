// A plugin's options, out of the configuration's tree.
#pragma once

#include <memory>

#include "core/value.hpp"
#include "plugin/options.hpp"

namespace otagate::gateway {

// Takes the resolved tree (defaults applied, secrets read).
std::shared_ptr<const plugin::OptionSource> make_option_source(Value options);

}  // namespace otagate::gateway

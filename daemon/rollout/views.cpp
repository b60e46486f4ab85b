#include "rollout/views.hpp"

namespace otagate::rollout {

std::string_view to_string(Approval approval) {
  switch (approval) {
    case Approval::pending: return "pending";
    case Approval::approved: return "approved";
    case Approval::blocked: return "blocked";
  }
  return "unknown";
}

}  // namespace otagate::rollout

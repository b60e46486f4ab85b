// A device's link as its fleet owns it.
#pragma once

#include <memory>
#include <utility>

#include "link.hpp"

namespace otagate::sim {

// What runs in a link may end a little after its owner: then it is closed, and has nothing to say any more.
class LinkOwner final : public Link {
 public:
  explicit LinkOwner(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~LinkOwner() override { link_->close(); }
  LinkOwner(const LinkOwner&) = delete;
  LinkOwner& operator=(const LinkOwner&) = delete;
  void ask(const Ask& ask, Done done) override { link_->ask(ask, std::move(done)); }
  void close() override { link_->close(); }

 private:
  std::shared_ptr<Link> link_;
};

}  // namespace otagate::sim

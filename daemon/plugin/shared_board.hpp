// An instance's board in shared memory, so that a plugin in another process can read it too.
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"
#include "otagate/transport.h"

namespace otagate::plugin {

// Counters only grow; thread-safe. The memory is unmapped with the object.
class SharedBoard {
 public:
  SharedBoard();
  ~SharedBoard();
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;

  const otagate_board* get() const { return board_; }
  void bump_catalog() { __atomic_add_fetch(&board_->catalog, 1, __ATOMIC_RELEASE); }
  void bump_epoch() { __atomic_add_fetch(&board_->epoch, 1, __ATOMIC_RELEASE); }
  // A sealed memfd to hand to another process; -1 where the kernel gave none and the board is private.
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  otagate_board private_{};  // where there is no shared memory
  otagate_board* board_ = &private_;
};

}  // namespace otagate::plugin

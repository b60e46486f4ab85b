#include "plugin/shared_board.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace otagate::plugin {
namespace {

constexpr std::size_t kBytes = 4096;

}  // namespace

SharedBoard::SharedBoard() {
  private_.size = sizeof private_;
  UniqueFd fd(::memfd_create("otagate-board", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ::ftruncate(fd.get(), kBytes) != 0) return;
  void* at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return;
  // Nobody can shrink it under a reader.
  ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  board_ = static_cast<otagate_board*>(at);
  board_->size = sizeof *board_;
  fd_ = std::move(fd);
}

SharedBoard::~SharedBoard() {
  if (board_ != &private_) ::munmap(board_, kBytes);
}

}  // namespace otagate::plugin

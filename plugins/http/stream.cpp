#include "http/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

namespace otagate::http {

bool Stream::open(int fd, SSL_CTX* tls) {
  fd_ = fd;
  broken_ = false;
  if (tls == nullptr) return true;
  ssl_ = SSL_new(tls);
  if (ssl_ == nullptr || SSL_set_fd(ssl_, fd) != 1) return false;
  SSL_set_accept_state(ssl_);
  return true;
}

void Stream::close() {
  if (ssl_ != nullptr) {
    if (!broken_ && SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ERR_clear_error();
    ssl_ = nullptr;
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Stream::shutdown_write() {
  if (ssl_ != nullptr && !broken_) SSL_shutdown(ssl_);
  ERR_clear_error();
  ::shutdown(fd_, SHUT_WR);
}

ssize_t Stream::tls_result(int result) {
  if (result > 0) return result;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: events_ = EPOLLIN; return kBlocked;
    case SSL_ERROR_WANT_WRITE: events_ = EPOLLOUT; return kBlocked;
    case SSL_ERROR_ZERO_RETURN: return kEnd;
    default:
      broken_ = true;
      ERR_clear_error();
      return kFailed;
  }
}

ssize_t Stream::handshake() { return tls_result(SSL_do_handshake(ssl_)); }

ssize_t Stream::read(char* into, std::size_t size) {
  if (ssl_ != nullptr)
    return tls_result(SSL_read(ssl_, into, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
  for (;;) {
    const ssize_t count = recv(fd_, into, size, 0);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    events_ = EPOLLIN;
    return errno == EAGAIN ? kBlocked : kFailed;
  }
}

ssize_t Stream::write(std::string_view bytes, bool more) {
  if (ssl_ != nullptr) {
    const ssize_t result = tls_result(
        SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX))));
    return result == kEnd ? kFailed : result;
  }
  for (;;) {
    const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    events_ = EPOLLOUT;
    return errno == EAGAIN ? kBlocked : kFailed;
  }
}

ssize_t Stream::send_file(int file, std::uint64_t offset, std::size_t size, int& file_error) {
  file_error = 0;
  for (;;) {
    auto at = static_cast<off_t>(offset);
    const ssize_t count = sendfile(fd_, file, &at, size);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    events_ = EPOLLOUT;
    if (errno == EAGAIN) return kBlocked;
    // What a socket may say as well (ENOMEM too: no memory is no fault of the file) is not held against the
    // file.
    const bool of_file = errno == EIO || errno == EBADMSG || errno == EUCLEAN || errno == EINVAL ||
                         errno == EOVERFLOW || errno == ESTALE;
    if (of_file) file_error = errno;
    return kFailed;
  }
}

bool Stream::has_buffered() const { return ssl_ != nullptr && SSL_pending(ssl_) > 0; }

}  // namespace otagate::http

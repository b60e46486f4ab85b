// A connected socket, plain or under TLS, non-blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sys/types.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace otagate::http {

// Owned by its connection; one thread.
class Stream {
 public:
  // Results of the calls below besides a positive number of bytes.
  static constexpr ssize_t kEnd = 0;       // the peer sends no more
  static constexpr ssize_t kBlocked = -1;  // wait for events()
  static constexpr ssize_t kFailed = -2;   // the connection is of no more use

  Stream() = default;
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Takes the descriptor over. False: no memory for TLS.
  bool open(int fd, SSL_CTX* tls);
  // Under TLS the peer is told, if that needs no waiting.
  void close();
  void shutdown_write();

  int fd() const { return fd_; }
  bool tls() const { return ssl_ != nullptr; }

  // 1: done; kBlocked or kFailed otherwise. For TLS only, before anything else.
  ssize_t handshake();
  ssize_t read(char* into, std::size_t size);
  // `more`: further bytes of the same answer follow at once.
  ssize_t write(std::string_view bytes, bool more);
  // From a file without copying; plain sockets only. kEnd: the file ends before `offset`. After kFailed
  // file_error is errno where the file is to blame, 0 where the socket is.
  ssize_t send_file(int file, std::uint64_t offset, std::size_t size, int& file_error);

  // The epoll events that a blocked call waits for.
  std::uint32_t events() const { return events_; }
  // Bytes that TLS has decrypted already, of which epoll knows nothing.
  bool has_buffered() const;

 private:
  ssize_t tls_result(int result);

  int fd_ = -1;
  SSL* ssl_ = nullptr;
  bool broken_ = false;  // TLS failed: no farewell
  std::uint32_t events_ = 0;
};

}  // namespace otagate::http

#include "endpoint.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <system_error>

#include "compat.hpp"

namespace otagate::coap {
namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

// The descriptor that libcoap made: its API does not give it away, but its epoll set lists it.
int endpoint_descriptor(const coap_context_t* context) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(coap_context_get_coap_fd(context)));
  std::string word;
  while (info >> word) {
    int descriptor = -1;
    if (word != "tfd:" || !(info >> descriptor)) continue;
    int type = 0;
    socklen_t length = sizeof(type);
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM)
      return descriptor;
  }
  return -1;
}

// 0, or the errno of binding alone.
int try_bind(const ListenAddress& listen) {
  const int probe = socket(listen.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return errno;
  if (listen.storage.ss_family == AF_INET6) {
    const int off = 0;  // as libcoap will: [::] takes the IPv4 port, too
    setsockopt(probe, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  const int error =
      bind(probe, reinterpret_cast<const sockaddr*>(&listen.storage), listen.length) == 0 ? 0 : errno;
  close(probe);
  return error;
}

void set_receive_buffer(int descriptor, int bytes) {
  // The forced form needs CAP_NET_ADMIN; the plain one is cut at net.core.rmem_max.
  if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0) {
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
  }
}

std::string bound_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "?";
  const auto peer = peer_of(reinterpret_cast<const sockaddr&>(address));
  return peer ? to_string(*peer) : "?";
}

}  // namespace

ContextPtr make_context(unsigned max_idle_sessions, std::chrono::seconds session_timeout, std::string& why) {
  static std::once_flag started;
  std::call_once(started, [] {
    coap_startup();
    silence_libcoap();
  });
  ContextPtr context(coap_new_context(nullptr));
  if (!context) {
    why = "libcoap cannot make a context: out of memory or descriptors";
    return nullptr;
  }
  if (coap_context_get_coap_fd(context.get()) < 0) {
    why = "this libcoap was built without epoll; install Debian's libcoap3";
    return nullptr;
  }
  // Blocks are answered one by one from the blob: libcoap keeps nothing of them.
  coap_context_set_block_mode(context.get(), 0);
  coap_context_set_max_idle_sessions(context.get(), max_idle_sessions);
  coap_context_set_session_timeout(context.get(), static_cast<unsigned>(session_timeout.count()));
  return context;
}

bool open_endpoint(coap_context_t* context, const ListenAddress& listen, int receive_buffer,
                   std::string& bound, std::string& why) {
  if (const int error = try_bind(listen); error != 0) {
    why = listen.text + ": " + error_text(error);
    if (error == EADDRINUSE) why += "; another program has it";
    return false;
  }
  coap_address_t address;
  coap_address_init(&address);
  address.size = listen.length;
  std::memcpy(&address.addr, &listen.storage, std::min<std::size_t>(sizeof(address.addr), listen.length));
  if (coap_new_endpoint(context, &address, COAP_PROTO_UDP) == nullptr) {
    why = listen.text + ": libcoap cannot bind it";
    return false;
  }
  const int descriptor = endpoint_descriptor(context);
  bound = listen.text;
  if (descriptor < 0) return true;  // works, with the system's buffer size
  const int off = 0;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
  set_receive_buffer(descriptor, receive_buffer);
  bound = bound_address(descriptor);
  return true;
}

}  // namespace otagate::coap

// A UDP endpoint of libcoap, with what libcoap leaves out: who else has the address, and buffers.
#pragma once

#include <coap3/coap.h>

#include <chrono>
#include <memory>
#include <string>

#include "peer.hpp"

namespace otagate::coap {

struct FreeContext {
  void operator()(coap_context_t* context) const { coap_free_context(context); }
};
using ContextPtr = std::unique_ptr<coap_context_t, FreeContext>;

// Null when libcoap is not able to: then `why` says so.
ContextPtr make_context(unsigned max_idle_sessions, std::chrono::seconds session_timeout, std::string& why);

// Binds. libcoap sets SO_REUSEADDR, with which two processes share a UDP port and one of them gets
// nothing: so the address is tried without it first, and ours is closed to newcomers afterwards.
// False when it cannot be had now; `why` says so for people.
bool open_endpoint(coap_context_t* context, const ListenAddress& listen, int receive_buffer,
                   std::string& bound, std::string& why);

}  // namespace otagate::coap

// libcoap 4.3.1 (Debian 12) and 4.3.4 (Debian 13): what differs between them.
#pragma once

#include <coap3/coap.h>

namespace otagate::coap {

// The library logs to stderr and formats peers in static buffers, which threads would share; what
// matters is reported by return values.
inline void silence_libcoap() {
#if LIBCOAP_VERSION >= 4003002U
  coap_set_log_level(COAP_LOG_EMERG);
#else
  coap_set_log_level(LOG_EMERG);
#endif
}

}  // namespace otagate::coap

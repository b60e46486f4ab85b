// How a peer reaches this listener: what stands before the path in the URLs that devices are given. Pure.
#pragma once

#include <string>
#include <string_view>

struct sockaddr_storage;

namespace otagate::http {

// True for a Host header field that is a host name, an IPv4 address or a bracketed IPv6 address, with a
// port or without: nothing in it can end the authority of a URL, or a header field.
bool valid_host(std::string_view host);

// "http://10.0.0.1:8080", no slash at the end. `public_url` where it is set; else what the peer says it
// has called, where that is valid; else `local`, the address that it has reached.
std::string base_url(std::string_view public_url, std::string_view host, const sockaddr_storage& local,
                     bool tls);

}  // namespace otagate::http

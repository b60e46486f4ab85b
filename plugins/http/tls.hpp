// The server side of TLS: one context per set of files.
#pragma once

#include <memory>
#include <string>

typedef struct ssl_ctx_st SSL_CTX;

namespace otagate::http {

using TlsContext = std::shared_ptr<SSL_CTX>;

// TLS 1.2 or later with ALPN "http/1.1". Throws sdk::Failure that names the file and what to do.
TlsContext load_tls(const std::string& cert_file, const std::string& key_file);

}  // namespace otagate::http

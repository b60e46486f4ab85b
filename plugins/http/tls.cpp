#include "http/tls.hpp"

#include <string_view>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "otagate/cpp/status.hpp"

namespace otagate::http {
namespace {

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown reason" : reason;
}

[[noreturn]] void refuse(const std::string& what) {
  throw sdk::Failure(OTAGATE_INVALID, what + ": " + last_error());
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned int in_size, void*) {
  constexpr std::string_view kOurs = "http/1.1";
  for (unsigned int at = 0; at < in_size; at += 1 + in[at]) {
    const std::string_view offered(reinterpret_cast<const char*>(in) + at + 1, in[at]);
    if (offered != kOurs) continue;
    *out = in + at + 1;
    *out_size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

TlsContext load_tls(const std::string& cert_file, const std::string& key_file) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) refuse("cannot make a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1) {
    refuse("cannot use the certificate file '" + cert_file +
           "': it has to be readable PEM, the server's first");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    refuse("cannot use the key file '" + key_file +
           "': it has to be a readable PEM key without a passphrase");
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    refuse("the key in '" + key_file + "' does not belong to the certificate in '" + cert_file + "'");
  }
  return context;
}

}  // namespace otagate::http

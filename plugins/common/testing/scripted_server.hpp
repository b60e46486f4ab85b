// An HTTP/1.1 server for tests that answers what a function says, byte for byte. Plain or TLS.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace otagate::testing {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;  // counts from 1

  bool has(const std::string& name) const { return headers.contains(name); }
  std::string header(const std::string& name) const { return has(name) ? headers.at(name) : ""; }
};

// A self-signed certificate for 127.0.0.1 and localhost, valid from `from_days` to `to_days` from now.
struct TestCertificate {
  explicit TestCertificate(const std::string& path, long from_days = -1, long to_days = 10,
                           const std::string& names = "IP:127.0.0.1,DNS:localhost") {
    key = EVP_EC_gen("P-256");
    cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_days * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_days * 86400);
    X509_set_pubkey(cert, key);
    X509_NAME* name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                               -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION* san = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(cert, key, EVP_sha256());
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (!file) throw std::runtime_error("cannot write " + path);
    PEM_write_X509(file, cert);
    std::fclose(file);
  }
  ~TestCertificate() {
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  EVP_PKEY* key;
  X509* cert;
};

class ScriptedServer {
 public:
  // The whole answer: status line, headers, empty line, body. The connection stays open when the answer
  // has a Content-Length (or no body by its status) that is met, and is closed after it otherwise.
  using Handler = std::function<std::string(const SeenRequest&)>;

  explicit ScriptedServer(Handler handler, const TestCertificate* certificate = nullptr)
      : handler_(std::move(handler)) {
    if (certificate) {
      ctx_ = SSL_CTX_new(TLS_server_method());
      SSL_CTX_use_certificate(ctx_, certificate->cert);
      SSL_CTX_use_PrivateKey(ctx_, certificate->key);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, 64) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no listener for the test server");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
  }
  ~ScriptedServer() {
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::scoped_lock lock(mutex_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& worker : workers_) worker.join();
    close(listener_);
    if (ctx_) SSL_CTX_free(ctx_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url(const std::string& path = "/") const {
    return std::string(ctx_ ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_) + path;
  }
  int port() const { return port_; }
  std::vector<SeenRequest> seen() const {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }
  int connections() const { return connections_; }

 private:
  void accept_loop() {
    while (!stopping_) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int number = ++connections_;
      const std::scoped_lock lock(mutex_);
      open_.push_back(fd);
      workers_.emplace_back([this, fd, number] { serve(fd, number); });
    }
  }

  void serve(int fd, int number) {
    // OpenSSL writes without MSG_NOSIGNAL. Only this thread's, so that a client's own SIGPIPE shows.
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    SSL* ssl = nullptr;
    bool ok = true;
    if (ctx_) {
      ssl = SSL_new(ctx_);
      SSL_set_fd(ssl, fd);
      ok = SSL_accept(ssl) == 1;
    }
    const auto read_some = [&](std::string& to) {
      char buffer[16384];
      const long got = ssl ? SSL_read(ssl, buffer, sizeof buffer) : recv(fd, buffer, sizeof buffer, 0);
      if (got > 0) to.append(buffer, static_cast<std::size_t>(got));
      return got > 0;
    };
    std::string buffer;
    while (ok && !stopping_) {
      std::size_t end = 0;
      while ((end = buffer.find("\r\n\r\n")) == std::string::npos && (ok = read_some(buffer))) {
      }
      if (!ok) break;
      SeenRequest request = parse(buffer.substr(0, end));
      request.connection = number;
      buffer.erase(0, end + 4);
      const std::size_t length =
          static_cast<std::size_t>(std::atoll(request.header("content-length").c_str()));
      while (buffer.size() < length && (ok = read_some(buffer))) {
      }
      if (!ok) break;
      request.body = buffer.substr(0, length);
      buffer.erase(0, length);
      {
        const std::scoped_lock lock(mutex_);
        seen_.push_back(request);
      }
      const std::string answer = handler_(request);
      std::size_t sent = 0;
      while (sent < answer.size()) {
        const long n = ssl ? SSL_write(ssl, answer.data() + sent, static_cast<int>(answer.size() - sent))
                           : send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
      ok = sent == answer.size() && keeps_open(request, answer);
    }
    if (ssl) {
      SSL_shutdown(ssl);
      SSL_free(ssl);
    }
    const std::scoped_lock lock(mutex_);
    std::erase(open_, fd);
    close(fd);
  }

  static SeenRequest parse(const std::string& head) {
    SeenRequest request;
    const std::size_t line_end = std::min(head.find("\r\n"), head.size());
    const std::string line = head.substr(0, line_end);
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, last - first - 1);
    std::size_t at = line_end + 2;
    while (at < head.size()) {
      const std::size_t end = std::min(head.find("\r\n", at), head.size());
      const std::string header = head.substr(at, end - at);
      const std::size_t colon = header.find(':');
      std::string name = header.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      std::size_t value = colon + 1;
      while (value < header.size() && header[value] == ' ') ++value;
      request.headers[name] = header.substr(value);
      at = end + 2;
    }
    return request;
  }

  static bool keeps_open(const SeenRequest& request, const std::string& answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::size_t header = answer.find("Content-Length: ");
    if (header == std::string::npos || header > end) return false;
    const std::size_t length = static_cast<std::size_t>(std::atoll(answer.c_str() + header + 16));
    return request.method == "HEAD" || answer.size() - end - 4 == length;
  }

  Handler handler_;
  SSL_CTX* ctx_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> workers_;  // grown by acceptor_ only
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;  // under mutex_
  std::vector<int> open_;          // under mutex_
};

// "HTTP/1.1 200 OK" with its Content-Length; `headers` are whole lines with their ends.
inline std::string answer(int status, const std::string& body = "", const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Test\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace otagate::testing

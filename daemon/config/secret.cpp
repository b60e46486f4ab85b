#include "config/secret.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ostream>

#include "core/fd.hpp"

namespace otagate::config {

namespace {

constexpr std::size_t kMaxSecret = 64 << 10;

void wipe(std::string& text) {
  text.resize(text.capacity());  // a moved-from short string still has its bytes
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

void strip_newline(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

Result<SecretText> read_file(const std::string& path, const std::string& shown) {
  // O_NONBLOCK: a FIFO must not hang the start.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) {
    const Error error = errno_error("open " + path, errno);
    return fail(Code::invalid, "cannot read the secret " + shown + ": " + error.message() +
                                   "; create the file with mode 0640 and a group the daemon is in");
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error("stat " + path, errno));
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid, "the secret " + shown + " is not a regular file");
  std::string text(kMaxSecret + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      wipe(text);
      return fail(errno_error("read " + path, errno));
    }
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  if (length > kMaxSecret) {
    wipe(text);
    return fail(Code::invalid, "the secret " + shown + " is larger than 64 KiB");
  }
  text.resize(length);
  strip_newline(text);
  if (text.empty())
    return fail(Code::invalid, "the secret " + shown + " is empty; write the secret into the file");
  SecretText result{Secret(std::move(text)), {}};
  if (info.st_mode & S_IRWXO)
    result.warning = path + " can be read by every user of this machine; run: chmod o= " + path;
  return result;
}

}  // namespace

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    wipe(text_);
    text_ = other.text_;
  }
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(text_);
    text_.swap(other.text_);
  }
  return *this;
}

Secret::~Secret() { wipe(text_); }

bool Secret::matches(std::string_view candidate) const {
  return candidate.size() == text_.size() && CRYPTO_memcmp(candidate.data(), text_.data(), text_.size()) == 0;
}

std::ostream& operator<<(std::ostream& out, const Secret& secret) { return out << secret.to_string(); }

std::string SecretSource::to_string() const {
  switch (kind) {
    case Kind::none: return {};
    case Kind::file: return "{ file = \"" + name + "\" }";
    case Kind::credential: return "{ credential = \"" + name + "\" }";
    case Kind::env: return "{ env = \"" + name + "\" }";
  }
  return {};
}

Result<SecretText> read_secret(const SecretSource& source) {
  switch (source.kind) {
    case SecretSource::Kind::none: break;
    case SecretSource::Kind::file: return read_file(source.name, source.to_string());
    case SecretSource::Kind::credential: {
      const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
      if (!directory || !*directory)
        return fail(Code::invalid,
                    "the secret " + source.to_string() +
                        " needs systemd: CREDENTIALS_DIRECTORY is not set; add LoadCredential=" +
                        source.name + ":/path to the unit, or write { file = \"/path\" }");
      Result<SecretText> text = read_file(std::string(directory) + '/' + source.name, source.to_string());
      // systemd made that file and its folder is private: its mode says nothing.
      if (text) text->warning.clear();
      return text;
    }
    case SecretSource::Kind::env: {
      const char* value = std::getenv(source.name.c_str());
      if (!value || !*value)
        return fail(Code::invalid, "the environment variable " + source.name +
                                       " is not set; set it for the daemon, or write { file = \"/path\" }");
      std::string text(value);
      if (text.size() > kMaxSecret) {
        wipe(text);
        return fail(Code::invalid, "the environment variable " + source.name + " is larger than 64 KiB");
      }
      strip_newline(text);
      return SecretText{Secret(std::move(text)), {}};
    }
  }
  return fail(Code::internal, "no secret source");
}

}  // namespace otagate::config

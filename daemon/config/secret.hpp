// Secrets come from files, systemd credentials or the environment, never from the configuration
// text, and are printed nowhere.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::config {

// Holds a secret and never prints it: to_string() and << give "***". The text is wiped when it dies.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  // The text itself. Call it where the secret is used, never where something is shown.
  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  std::string to_string() const { return text_.empty() ? "" : "***"; }
  // Takes the same time wherever the first difference is; only the length can be learnt.
  bool matches(std::string_view candidate) const;
  bool operator==(const Secret& other) const { return matches(other.text_); }

 private:
  std::string text_;
};
std::ostream& operator<<(std::ostream& out, const Secret& secret);

// Where a secret lies.
struct SecretSource {
  enum class Kind { none, file, credential, env };
  Kind kind = Kind::none;
  std::string name;  // absolute path, credential name, variable name

  // `{ file = "/etc/otagate/token" }`: safe to show.
  std::string to_string() const;
  bool operator==(const SecretSource&) const = default;
};

struct SecretText {
  Secret secret;
  std::string warning;  // "" or what is unwise about it, e.g. a file that everybody can read
};

// Reads a secret of at most 64 KiB and strips one trailing newline. Errors name the place and what
// to do, never the text. A credential is a file of that name in $CREDENTIALS_DIRECTORY.
Result<SecretText> read_secret(const SecretSource& source);

}  // namespace otagate::config

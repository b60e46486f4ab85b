#include "core/minisign.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace otagate {

namespace {

constexpr std::size_t kMaxText = 8 << 10;  // of a key or a signature file
constexpr std::size_t kSignature = 64;
constexpr std::size_t kId = 8;
constexpr std::string_view kTrusted = "trusted comment: ";

using Bytes = std::vector<unsigned char>;

// `size` bytes in standard base64 with padding, nothing else.
std::optional<Bytes> decode(std::string_view text, std::size_t size) {
  if (text.size() != (size + 2) / 3 * 4) return std::nullopt;
  const std::size_t padding = (3 - size % 3) % 3;  // OpenSSL takes it where it should not be, and none
  if (!text.ends_with(std::string_view("==").substr(0, padding)) ||
      std::count(text.begin(), text.end(), '=') != static_cast<std::ptrdiff_t>(padding))
    return std::nullopt;
  Bytes out(text.size() / 4 * 3);
  const int got = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                  static_cast<int>(text.size()));
  if (got < 0 || static_cast<std::size_t>(got) < size) return std::nullopt;
  out.resize(size);
  return out;
}

// Its lines without their ends; an empty last one does not count.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool verified(const MinisignKey& key, std::span<const unsigned char> message,
              std::span<const unsigned char> signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> public_key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                  reinterpret_cast<const unsigned char*>(key.key.data()), key.key.size()),
      EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return public_key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

Result<Bytes> blake2b(std::string_view message) {
  Bytes hash(64);
  unsigned size = 0;
  if (EVP_Digest(message.data(), message.size(), hash.data(), &size, EVP_blake2b512(), nullptr) != 1 ||
      size != hash.size())
    return fail(Code::internal, "BLAKE2b-512 is not to be had of OpenSSL");
  return hash;
}

}  // namespace

Result<MinisignKey> MinisignKey::parse(std::string_view text) {
  const auto refuse = [] {
    return fail(Code::invalid,
                "is not a minisign public key; write the line of minisign.pub that begins with RW");
  };
  if (text.size() > kMaxText) return refuse();
  const auto lines = lines_of(text);
  if (lines.empty() || lines.size() > 2) return refuse();
  const auto bytes = decode(lines.back(), 2 + kId + 32);
  if (!bytes || (*bytes)[0] != 'E' || (*bytes)[1] != 'd') return refuse();
  MinisignKey key;
  std::transform(bytes->begin() + 2, bytes->begin() + 2 + kId, key.id.begin(),
                 [](unsigned char c) { return std::byte{c}; });
  std::transform(bytes->begin() + 2 + kId, bytes->end(), key.key.begin(),
                 [](unsigned char c) { return std::byte{c}; });
  return key;
}

std::string MinisignKey::id_text() const {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (auto byte = id.rbegin(); byte != id.rend(); ++byte) {  // a little-endian number
    text += kDigits[std::to_integer<unsigned>(*byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(*byte) & 15];
  }
  return text;
}

Result<std::string> verify_minisign(std::span<const MinisignKey> keys, std::string_view message,
                                    std::string_view signature) {
  const auto refuse = [](const char* why) {
    return fail(Code::invalid, std::string("the signature is not one of minisign: ") + why);
  };
  if (signature.size() > kMaxText) return refuse("it is too long");
  const auto lines = lines_of(signature);
  if (lines.size() != 4 || !lines[2].starts_with(kTrusted)) return refuse("it does not have its four lines");
  const auto made = decode(lines[1], 2 + kId + kSignature);
  const auto global = decode(lines[3], kSignature);
  if (!made || !global) return refuse("its base64 is damaged");
  const bool hashed = (*made)[0] == 'E' && (*made)[1] == 'D';
  if (!hashed && !((*made)[0] == 'E' && (*made)[1] == 'd')) return refuse("its algorithm is not known");

  const auto key = std::find_if(keys.begin(), keys.end(), [&](const MinisignKey& one) {
    return std::equal(one.id.begin(), one.id.end(), made->begin() + 2,
                      [](std::byte a, unsigned char b) { return a == std::byte{b}; });
  });
  if (key == keys.end()) {
    MinisignKey other;
    std::transform(made->begin() + 2, made->begin() + 2 + kId, other.id.begin(),
                   [](unsigned char c) { return std::byte{c}; });
    return fail(Code::denied, "it is signed with key " + other.id_text() + ", which is not trusted here");
  }

  const auto* text = reinterpret_cast<const unsigned char*>(message.data());
  std::span<const unsigned char> signed_bytes(text, message.size());
  Bytes hash;
  if (hashed) {
    auto made_hash = blake2b(message);
    if (!made_hash) return fail(std::move(made_hash).error());
    hash = std::move(*made_hash);
    signed_bytes = hash;
  }
  const std::span<const unsigned char> own = std::span(*made).subspan(2 + kId);
  if (!verified(*key, signed_bytes, own))
    return fail(Code::denied, "the signature of key " + key->id_text() + " is not that of these bytes");
  const std::string_view comment = lines[2].substr(kTrusted.size());
  Bytes with_comment(own.begin(), own.end());
  with_comment.insert(with_comment.end(), comment.begin(), comment.end());
  if (!verified(*key, with_comment, *global))
    return fail(Code::denied, "the trusted comment is not what key " + key->id_text() + " signed");
  return std::string(comment);
}

}  // namespace otagate

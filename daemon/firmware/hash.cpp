#include "firmware/hash.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace otagate::firmware {

namespace {

constexpr std::size_t kPiece = 64 << 10;

const EVP_MD* method(HashKind kind) {
  switch (kind) {
    case HashKind::sha256: return EVP_sha256();
    case HashKind::sha384: return EVP_sha384();
    case HashKind::sha512: return EVP_sha512();
  }
  return EVP_sha256();
}

}  // namespace

std::size_t hash_size(HashKind kind) { return static_cast<std::size_t>(EVP_MD_get_size(method(kind))); }

Result<std::vector<std::byte>> hash_prefix(
    const ReadAt& read, std::uint64_t end, HashKind kind,
    const std::function<void(std::uint64_t, std::span<const std::byte>)>& each) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), method(kind), nullptr) != 1)
    return fail(Code::internal, "OpenSSL has no such hash");
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(end, kPiece)));
  for (std::uint64_t at = 0; at < end;) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(end - at, piece.size()));
    const std::span<std::byte> part = std::span(piece).first(length);
    if (Result<void> done = read(at, part); !done) return fail(std::move(done.error()));
    if (EVP_DigestUpdate(context.get(), part.data(), part.size()) != 1)
      return fail(Code::internal, "OpenSSL failed to hash");
    if (each) each(at, part);
    at += length;
  }
  std::vector<std::byte> digest(hash_size(kind));
  if (EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr) != 1)
    return fail(Code::internal, "OpenSSL failed to hash");
  return digest;
}

}  // namespace otagate::firmware

#include "echo.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

namespace otagate::coap {
namespace {

std::int64_t window_of(EchoTokens::Clock::time_point now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()) / EchoTokens::kWindow;
}

}  // namespace

EchoTokens::EchoTokens() : key_{} {
  // Without randomness there is no verifying peers, and nothing else in the process works either.
  if (RAND_bytes(key_.data(), static_cast<int>(key_.size())) != 1) std::abort();
}

EchoTokens::Token EchoTokens::of_window(const Peer& peer, std::int64_t window) const {
  std::array<std::uint8_t, 26> message{};
  std::copy(peer.address.begin(), peer.address.end(), message.begin());
  message[16] = static_cast<std::uint8_t>(peer.port >> 8);
  message[17] = static_cast<std::uint8_t>(peer.port);
  for (std::size_t i = 0; i < 8; ++i) message[18 + i] = static_cast<std::uint8_t>(window >> (8 * i));
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), message.data(), message.size(),
       digest.data(), &length);
  Token token;
  std::copy_n(digest.begin(), token.size(), token.begin());
  return token;
}

EchoTokens::Token EchoTokens::make(const Peer& peer, Clock::time_point now) const {
  return of_window(peer, window_of(now));
}

bool EchoTokens::valid(std::span<const std::uint8_t> token, const Peer& peer, Clock::time_point now) const {
  if (token.size() != kLength) return false;
  const auto window = window_of(now);
  for (const auto candidate : {window, window - 1}) {
    const auto expected = of_window(peer, candidate);
    if (CRYPTO_memcmp(expected.data(), token.data(), kLength) == 0) return true;
  }
  return false;
}

}  // namespace otagate::coap

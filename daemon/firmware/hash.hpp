// The hashes that images carry, by OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "firmware/image.hpp"

namespace otagate::firmware {

enum class HashKind { sha256, sha384, sha512 };
std::size_t hash_size(HashKind kind);

// Hashes [0, end) of an image, 64 KiB at a time. `each` sees every piece with its offset.
Result<std::vector<std::byte>> hash_prefix(
    const ReadAt& read, std::uint64_t end, HashKind kind,
    const std::function<void(std::uint64_t, std::span<const std::byte>)>& each = {});

}  // namespace otagate::firmware

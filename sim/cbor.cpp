#include "cbor.hpp"

namespace otagate::sim {
namespace {

constexpr unsigned kNumber = 0;
constexpr unsigned kBytes = 2;
constexpr unsigned kText = 3;
constexpr unsigned kArray = 4;
constexpr unsigned kMap = 5;
constexpr unsigned kTag = 6;
constexpr unsigned kSimple = 7;
constexpr unsigned kNull = 22;
constexpr int kMaxDepth = 8;

}  // namespace

void CborWriter::head(unsigned major, std::uint64_t value) {
  const auto first = [&](unsigned info) { out_ += static_cast<char>(major << 5U | info); };
  int bytes = 0;
  if (value < 24) {
    first(static_cast<unsigned>(value));
  } else if (value <= 0xFF) {
    first(24);
    bytes = 1;
  } else if (value <= 0xFFFF) {
    first(25);
    bytes = 2;
  } else if (value <= 0xFFFFFFFF) {
    first(26);
    bytes = 4;
  } else {
    first(27);
    bytes = 8;
  }
  while (bytes-- > 0) out_ += static_cast<char>(value >> (8 * bytes) & 0xFFU);
}

void CborWriter::text(std::string_view value) {
  head(kText, value.size());
  out_ += value;
}

void CborWriter::bytes(std::string_view value) {
  head(kBytes, value.size());
  out_ += value;
}

CborReader::Head CborReader::head() {
  const auto first = cut(1);
  if (first.empty()) return {};
  const unsigned byte = static_cast<unsigned char>(first.front());
  Head head{byte >> 5U, byte & 31U, byte & 31U};
  if (head.info < 24) return head;
  if (head.info > 27) {  // reserved, and indefinite lengths, which no gateway sends
    fail();
    return {};
  }
  head.value = 0;
  for (const char c : cut(1ULL << (head.info - 24))) {
    head.value = head.value << 8U | static_cast<unsigned char>(c);
  }
  return head;
}

std::string_view CborReader::cut(std::uint64_t length) {
  if (length > data_.size()) {
    fail();
    return {};
  }
  const auto part = data_.substr(0, length);
  data_.remove_prefix(length);
  return part;
}

std::uint64_t CborReader::map() {
  auto next = head();
  if (next.major == kTag) next = head();  // self-described
  if (next.major != kMap) fail();
  return ok_ ? next.value : 0;
}

CborReader::Key CborReader::key() {
  const auto next = head();
  if (next.major == kNumber) return ok_ ? Key{next.value, {}} : Key{};
  if (next.major == kText) return {std::nullopt, cut(next.value)};
  fail();
  return {};
}

std::optional<std::uint64_t> CborReader::number_or_null() {
  const auto next = head();
  if (ok_ && next.major == kNumber) return next.value;
  if (next.major != kSimple || next.info != kNull) fail();
  return std::nullopt;
}

std::string_view CborReader::bytes() {
  const auto next = head();
  if (next.major != kBytes) {
    fail();
    return {};
  }
  return cut(next.value);
}

void CborReader::skip(int depth) {
  if (depth > kMaxDepth) return fail();
  const auto next = head();
  switch (next.major) {
    case kBytes:
    case kText: cut(next.value); return;
    case kTag: return skip(depth + 1);
    case kArray:
    case kMap: {
      if (next.value > data_.size()) return fail();  // each entry has at least a byte
      const auto items = next.major == kMap ? next.value * 2 : next.value;
      for (std::uint64_t i = 0; ok_ && i < items; ++i) skip(depth + 1);
      return;
    }
    default: return;
  }
}

}  // namespace otagate::sim

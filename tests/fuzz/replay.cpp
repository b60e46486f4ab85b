// Runs a fuzz target over its checked-in corpus, without a fuzzer: each input as it is, cut short at
// a few places, and with single bits flipped. Deterministic, so that a failure is there again.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kVariants = 64;

// The copy is exactly as long as the input, so that ASan sees a read past its end.
void run(const std::vector<std::uint8_t>& input, std::size_t size) {
  const std::vector<std::uint8_t> exact(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  std::size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::vector<std::uint8_t> input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    run(input, input.size());
    for (std::size_t i = 0; i < kVariants && !input.empty(); ++i) {
      run(input, input.size() * i / kVariants);
      const std::size_t at = input.size() * i / kVariants;
      const auto bit = static_cast<std::uint8_t>(1u << (i % 8));
      input[at] ^= bit;
      run(input, input.size());
      input[at] ^= bit;
    }
    ++inputs;
  }
  std::printf("%zu inputs replayed\n", inputs);
  return inputs == 0 ? 1 : 0;
}

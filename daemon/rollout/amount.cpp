#include "rollout/amount.hpp"

#include <algorithm>
#include <charconv>

namespace otagate::rollout {

Result<Amount> Amount::parse(std::string_view text) {
  Amount amount;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, amount.value);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  amount.percent = unit == "%";
  if (error != std::errc() || !(unit.empty() || amount.percent) || amount.value == 0 ||
      (amount.percent && amount.value > 100))
    return fail(Code::invalid, "'" + std::string(text) +
                                   "' is no number of devices; write a count such as 25, or 1% to 100%");
  return amount;
}

std::uint32_t Amount::of(std::uint32_t devices) const {
  if (!percent) return std::min(value, devices);
  return static_cast<std::uint32_t>((std::uint64_t{devices} * value + 99) / 100);
}

std::string Amount::text() const { return std::to_string(value) + (percent ? "%" : ""); }

}  // namespace otagate::rollout

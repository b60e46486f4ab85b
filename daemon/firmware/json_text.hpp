// Adapter to Boost.JSON for small documents from others: bounded depth, no exception out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace otagate::firmware {

// A JSON object of at most 8 levels, read-only.
class JsonObject {
 public:
  static Result<JsonObject> parse(std::string_view text);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(JsonObject&&) noexcept;
  ~JsonObject();

  // The member under a key: nullopt when it is absent or null, an error when it is of another type.
  Result<std::optional<std::string>> text(std::string_view key) const;
  Result<std::optional<std::uint64_t>> size(std::string_view key) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  // An array of at most `most` objects.
  Result<std::optional<std::vector<JsonObject>>> objects(std::string_view key, std::size_t most) const;

 private:
  struct Members;
  explicit JsonObject(std::unique_ptr<Members> members);
  std::unique_ptr<Members> members_;
};

}  // namespace otagate::firmware

// From an object in a store to a firmware in the catalog: puts together what its metadata, the index,
// a sidecar, its image and its path say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "core/error.hpp"
#include "firmware/image.hpp"
#include "firmware/index.hpp"
#include "firmware/metadata.hpp"
#include "firmware/pattern.hpp"
#include "state/objects.hpp"

namespace otagate::gateway {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// "key\0value\0key\0value\0" as stores say it and the database keeps it; what is cut off is dropped.
Pairs unpack(std::string_view packed);
std::string pack(const Pairs& pairs);

// The index files of a store, read.
struct StoreIndexes {
  struct One {
    config::StoreIndex config;
    firmware::FirmwareIndex firmware;
    firmware::VersionIndex versions;
  };
  std::vector<One> all;

  // True for the keys of the index files themselves.
  bool is_index(std::string_view key) const;
  std::optional<firmware::Claim> claim(std::string_view key) const;
};

// How the interpreter learns more than the listing said; each may block and talk to the store.
struct Lookups {
  // A sidecar object of that key: nullopt when there is none, its text otherwise.
  std::function<Result<std::optional<std::string>>(const std::string& key)> sidecar;
  // Metadata that listing did not give (HEAD); only called where the object says there may be more.
  std::function<Result<Pairs>(const std::string& key)> stat;
  // The first kProbeBytes of the object.
  std::function<Result<std::string>(const state::Object& object)> head;
};

struct Interpreted {
  // The identity, or why the object is not firmware (Code::rejected), or why that could not be found
  // out now (any other code: look again at the next sync).
  Result<firmware::Merged> merged;
  firmware::Format format = firmware::Format::unknown;  // where the head was looked at
};

class Interpreter {
 public:
  // Patterns come checked by the configuration; an empty list means the default ones.
  Interpreter(const config::Store& store, bool local);

  // `more_metadata`: stat() may say more than `object.metadata`.
  Interpreted interpret(const state::Object& object, bool more_metadata, const StoreIndexes& indexes,
                        const Lookups& lookups) const;

 private:
  config::MetadataUse metadata_;
  bool local_;  // a look at the head costs nothing
  std::vector<firmware::Pattern> patterns_;
};

}  // namespace otagate::gateway

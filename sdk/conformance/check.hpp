// One check of the kit: a name, what it wants, and a function that throws when it does not get it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::kit {

class Subject;

// What a check throws. It passes when it returns.
struct Failed {
  std::string reason;
};
struct Skipped {
  std::string reason;
};

inline void expect(bool good, const std::string& otherwise) {
  if (!good) throw Failed{otherwise};
}

struct Check {
  std::string name;  // "store.fetch-ranges"
  std::string what;  // one line
  std::function<void(Subject&)> run;
};

std::vector<Check> load_checks();
std::vector<Check> store_checks();
std::vector<Check> store_call_checks();
std::vector<Check> store_optional_checks();
std::vector<Check> transport_checks();

}  // namespace otagate::kit

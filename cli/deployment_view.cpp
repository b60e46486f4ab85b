#include "deployment_view.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t kMostWaves = 8;     // drawn; the present one among them
constexpr std::size_t kMostAttempts = 6;  // drawn

// "a", "a and b", "a, b and c".
std::string enumerate(const std::vector<std::string>& words) {
  std::string all;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) all += i + 1 == words.size() ? " and " : ", ";
    all += words[i];
  }
  return all;
}

std::vector<std::string> words_of(const json::array& array) {
  std::vector<std::string> words;
  for (const json::value& item : array)
    if (item.is_string()) words.push_back(printable(std::string_view(item.as_string())));
  return words;
}

// At most `width` code points.
std::string cut(std::string text, int width) {
  int seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (++seen > width) return text.substr(0, i);
  }
  return text;
}

bool is_open(const json::value& attempt) { return member(attempt, "ended_ms").is_null(); }

std::string title_text(const json::value& deployment) {
  std::string title = "deployment " + std::to_string(number(deployment, "id"));
  if (const std::string name = text(deployment, "name"); !name.empty()) title += " \"" + name + "\"";
  title += ": " + release_text(deployment) + " to " + target_text(deployment);
  return title;
}

std::string state_text(const json::value& deployment) {
  std::string state = text(deployment, "state");
  if (state == "needs_approval") state = "waits for approval";
  const std::string why = text(deployment, "why");
  return why.empty() || why == state ? state : state + " (" + why + ")";
}

// Devices that are done with the waves' places, whichever way.
std::int64_t done_of(const json::value& deployment) {
  const json::value& counts = member(deployment, "counts");
  return number(counts, "succeeded") + number(counts, "failed");
}

void add_waves(const json::value& deployment, int width, std::vector<std::string>& lines) {
  const json::array& waves = items(deployment, "waves");
  const auto present = static_cast<std::size_t>(std::max<std::int64_t>(0, number(deployment, "wave")));
  const std::int64_t done = done_of(deployment);
  const std::size_t first =
      present >= kMostWaves ? std::min(present, waves.size()) - kMostWaves + 1 : std::size_t{0};
  const int bar = std::clamp(width - 40, 10, 40);
  std::int64_t before = first == 0 || waves.empty() ? 0 : number(waves[first - 1], "devices");
  for (std::size_t i = first; i < waves.size() && i < first + kMostWaves; ++i) {
    // A wave that is counted in devices may have more places than there are devices yet.
    const std::int64_t end = std::max(before, number(waves[i], "devices"));
    const std::int64_t places = end - before;
    const std::int64_t filled = std::clamp<std::int64_t>(done - before, 0, places);
    const double fraction =
        places == 0 ? (i < present ? 1 : 0) : static_cast<double>(filled) / static_cast<double>(places);
    lines.push_back((i == present ? "> " : "  ") + std::string("wave ") + std::to_string(i + 1) + "  " +
                    progress_bar(fraction, bar) + " " + std::to_string(filled) + " of " +
                    std::to_string(places) + "  up to " + text(waves[i], "amount"));
    before = end;
  }
  if (waves.size() > first + kMostWaves)
    lines.push_back("  and " + std::to_string(waves.size() - first - kMostWaves) + " more waves");
}

std::string attempt_line(const json::value& attempt) {
  std::string line = "    " + text(attempt, "device") + "  " + text(attempt, "state");
  const std::int64_t size = number(attempt, "size");
  if (text(attempt, "state") == "downloading" && size > 0) {
    line += " " + std::to_string(number(attempt, "offset") * 100 / size) + "%";
    if (const std::int64_t rate = number(attempt, "bytes_per_second"); rate > 0)
      line += ", " + format_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  }
  if (const std::int64_t parts = number(attempt, "parts"); parts > 1) {
    line += ", " + text(attempt, "component") + " (" + std::to_string(number(attempt, "part") + 1) + " of " +
            std::to_string(parts) + ")";
  }
  return line;
}

}  // namespace

std::string release_text(const json::value& deployment) {
  std::vector<std::string> parts;
  for (const json::value& part : items(member(deployment, "spec"), "parts"))
    parts.push_back(text(part, "name") + " " + text(part, "version"));
  return enumerate(parts);
}

std::string target_text(const json::value& deployment) {
  const json::value& target = member(member(deployment, "spec"), "target");
  std::vector<std::string> who;
  if (flag(target, "everybody")) return "everybody";
  std::string by;
  if (const std::string type = text(target, "type"); !type.empty()) by = "type " + type;
  if (const auto tags = words_of(items(target, "tags")); !tags.empty())
    by += (by.empty() ? "" : " with ") + std::string(tags.size() == 1 ? "tag " : "tags ") + enumerate(tags);
  if (!by.empty()) who.push_back(by);
  const auto devices = words_of(items(target, "devices"));
  if (devices.size() == 1) who.push_back(devices[0]);
  if (devices.size() > 1) who.push_back(std::to_string(devices.size()) + " devices");
  return who.empty() ? "nobody" : enumerate(who);
}

std::string wave_text(const json::value& deployment) {
  return "wave " + std::to_string(number(deployment, "wave") + 1) + " of " +
         std::to_string(items(deployment, "waves").size());
}

std::string counts_text(const json::value& deployment) {
  const json::value& counts = member(deployment, "counts");
  std::vector<std::string> words;
  for (const auto& [key, word] : {std::pair<const char*, const char*>{"succeeded", "updated"},
                                  {"running", "running"},
                                  {"waiting", "waiting"},
                                  {"failed", "failed"},
                                  {"current", "had it already"}}) {
    if (const std::int64_t count = number(counts, key); count > 0)
      words.push_back(std::to_string(count) + " " + word);
  }
  if (words.empty()) return "no device yet";
  std::string all = words[0];
  for (std::size_t i = 1; i < words.size(); ++i) all += ", " + words[i];
  return all;
}

std::string summary_text(const json::value& deployment) {
  std::string line = state_text(deployment) + ", " + wave_text(deployment) + ": " + counts_text(deployment);
  for (const std::string& problem : words_of(items(deployment, "problems"))) line += "; " + problem;
  return line;
}

std::vector<std::string> progress_lines(const json::value& deployment, const json::array& attempts,
                                        int width) {
  std::vector<std::string> lines;
  lines.push_back(title_text(deployment));
  lines.push_back("  " + state_text(deployment));
  add_waves(deployment, width, lines);
  lines.push_back("  " + counts_text(deployment));
  std::size_t open = 0;
  for (const json::value& attempt : attempts) {
    if (is_open(attempt) && open++ < kMostAttempts) lines.push_back(attempt_line(attempt));
  }
  for (const std::string& problem : words_of(items(deployment, "problems")))
    lines.push_back("  ! " + problem);
  for (std::string& line : lines) line = cut(std::move(line), width);
  return lines;
}

std::optional<int> outcome_of(const json::value& deployment) {
  const std::string state = text(deployment, "state");
  if (state == "completed") return kOk;
  if (state == "aborted") return kAborted;
  if (state == "paused") return kPaused;
  if (state != "active") return std::nullopt;
  const json::value& counts = member(deployment, "counts");
  const bool done =
      number(counts, "members") > 0 && number(counts, "waiting") == 0 && number(counts, "running") == 0;
  return done ? std::optional<int>(kOk) : std::nullopt;
}

}  // namespace otagate::cli

#include "deployment_follow.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <thread>

#include "core/clock.hpp"
#include "deployment_view.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{250};          // events that come at once are one look at the deployment
constexpr std::int64_t kProgressMs = 1000;  // bytes on the way make no events
constexpr std::int64_t kQuietMs = 30'000;   // what no event told
constexpr int kReconnects = 60;             // a second apart

class Display {
 public:
  Display(const Context& context, std::int64_t id)
      : context_(context), path_("/api/v1/deployments/" + std::to_string(id)) {}

  void changed() { dirty_ = true; }

  // Looks again where that is due. False when it is over; then code() is the exit code.
  bool tick() {
    const std::int64_t now = steady_ms();
    const std::int64_t patience = context_.json || width_ == 0 || running_ == 0 ? kQuietMs : kProgressMs;
    if (!dirty_ && now - looked_ms_ < patience) return true;
    dirty_ = false;
    looked_ms_ = now;
    const auto deployment = context_.client().get(path_);
    if (!deployment) {
      // It may be starting anew; the stream ends then too.
      if (deployment.error().code() == Code::transient) return true;
      code_ = failed(deployment.error());
      return false;
    }
    show(*deployment);
    running_ = number(member(*deployment, "counts"), "running");
    const auto outcome = outcome_of(*deployment);
    if (outcome) code_ = *outcome;
    return !outcome;
  }

  int code() const { return code_; }

 private:
  void show(const boost::json::value& deployment) {
    if (context_.json) {
      std::string line = boost::json::serialize(deployment);
      if (line != last_) std::printf("%s\n", line.c_str());
      last_ = std::move(line);
    } else if (width_ == 0) {
      std::string line = summary_text(deployment);
      if (line != last_) std::printf("%s %s\n", format_time(wall_ms()).c_str(), line.c_str());
      last_ = std::move(line);
    } else {
      draw(deployment);
    }
    std::fflush(stdout);
  }

  void draw(const boost::json::value& deployment) {
    width_ = std::max(terminal_width(), 20);
    const auto attempts = context_.client().get(path_ + "/attempts?limit=100");
    static const boost::json::array kNone;
    const auto lines = progress_lines(deployment, attempts ? items(*attempts) : kNone, width_ - 1);
    // Up to the first line of the last picture, and over it.
    if (drawn_ > 0) std::printf("\033[%zuA", drawn_);
    std::printf("\r\033[J");
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
    drawn_ = lines.size();
  }

  const Context& context_;
  const std::string path_;
  int width_ = terminal_width();
  bool dirty_ = true;
  std::int64_t looked_ms_ = 0;
  std::int64_t running_ = 0;
  std::size_t drawn_ = 0;  // lines
  std::string last_;
  int code_ = kDegraded;
};

}  // namespace

int follow_deployment(const Context& context, std::int64_t id) {
  Display display(context, id);
  for (int tries = 0;; ++tries) {
    bool over = false;
    const auto ended = context.client().follow("/api/v1/events/stream",
                                               [&](std::string_view) {
                                                 display.changed();
                                                 tries = 0;
                                                 return true;
                                               },
                                               {kTick, [&] {
                                                  over = !display.tick();
                                                  return !over;
                                                }});
    if (over) return display.code();
    if (!ended && (ended.error().code() != Code::transient || tries >= kReconnects))
      return failed(ended.error());
    display.changed();
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace otagate::cli

// A deployment for people: lines of text made of the daemon's JSON.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace otagate::cli {

// "app 1.1.0", or "app 1.1.0 and modem 2.0".
std::string release_text(const boost::json::value& deployment);
// "type sensor, tags lab and pilot", "3 devices", "everybody".
std::string target_text(const boost::json::value& deployment);
// "wave 2 of 3".
std::string wave_text(const boost::json::value& deployment);
// "41 updated, 12 running, 940 waiting, 2 failed, 5 had it already"; what is 0 is left out.
std::string counts_text(const boost::json::value& deployment);
// State, why, wave and counts in one line: the same text as long as nothing changed.
std::string summary_text(const boost::json::value& deployment);

// The picture that is drawn anew: title, a bar for each wave, counts, open attempts, problems. `attempts` are
// the newest of the deployment. No line is wider than `width`.
std::vector<std::string> progress_lines(const boost::json::value& deployment,
                                        const boost::json::array& attempts, int width);

// The exit code of whoever waits for it; nothing while there is something to wait for. A deployment that
// stands for good is waited for until all of its devices are done.
std::optional<int> outcome_of(const boost::json::value& deployment);

}  // namespace otagate::cli

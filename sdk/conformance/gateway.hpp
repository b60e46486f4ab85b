// The gateway as the kit plays it to a transport: one firmware, one blob that is filled at the pace a check
// wants, and every offer, report and reader written down.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "host.hpp"
#include "otagate/transport.h"

namespace otagate::kit {

// How the blob becomes ready while readers wait.
enum class Fill {
  verified,  // all there
  slow,      // grows in steps, then is verified
  half,      // stops in the middle until go_on()
  fails,     // fails a little before its end
};

struct Report {
  std::uint64_t attempt = 0;
  std::uint32_t state = 0;
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
};

class Gateway {
 public:
  static constexpr const char* kName = "kit-firmware";
  static constexpr const char* kVersion = "2.0.0";
  static constexpr const char* kType = "kit-board";
  static constexpr const char* kDevice = "kit-device";
  static constexpr const char* kRuns = "1.0.0";

  // `size` bytes of known content. Throws Failed when the instance cannot be created.
  Gateway(Subject& subject, std::size_t size, Fill fill);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  Instance& instance() { return instance_; }
  const std::string& content() const { return content_; }

  // start(), which must complete.
  void start();
  // stop(), which must complete in time and leave no reader open; then destroy().
  void finish(milliseconds deadline = milliseconds(5000));
  void stop(milliseconds deadline);

  // Lets a fill that stopped in the middle go on to its end.
  void go_on();
  void revoke(std::uint64_t attempt);

  // Waits for something to become true of what is written down; false when it does not.
  template <class Condition>
  bool wait(milliseconds timeout, Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, condition);
  }
  std::size_t open_readers() const { return readers_.size(); }     // under the lock, as in wait()
  std::size_t opened() const { return opened_; }                   // the same
  const std::vector<Report>& reports() const { return reports_; }  // the same
  bool wants_verified() const { return wants_verified_; }          // the same
  std::size_t check_ins() const { return check_ins_; }             // the same
  std::size_t offers() const { return offers_; }                   // the same
  std::uint64_t attempt() const { return attempt_; }               // the same
  bool resolved() const { return resolved_ > 0; }                  // the same

  // What the reports of an attempt must be like whatever happened; throws Failed.
  void check_reports(bool expect_final);

 private:
  struct Table;
  struct Reader {
    int fd = -1;
  };
  struct Want {
    otagate_reply reply{};
    otagate_reader reader = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  struct Ask {
    otagate_reply reply{};
  };

  static constexpr std::uint64_t kFirmware = 0x51;

  static otagate_transport_host make_table();
  static void deliver(const otagate_reply& reply, std::uint32_t status, const void* result,
                      std::string_view message = {}, std::uint64_t retry_after_ms = 0);
  void fill_loop();
  void write_to(std::uint64_t end);
  void answer_wants();
  otagate_call ask(const otagate_reply* reply);
  void reply_status(otagate_call call, std::uint32_t status, std::string message,
                    std::uint64_t retry_after_ms = 0);
  // Takes the call out and runs `deliver` on the reply thread, unless it is over.
  void reply(otagate_call call, std::function<void(const otagate_reply&)> deliver);
  void open_now(otagate_call call);
  otagate_firmware firmware() const;

  const Fill fill_;
  std::string content_;
  std::string digest_;
  int file_ = -1;
  alignas(64) otagate_blob_page page_{};
  alignas(64) otagate_board board_{};
  otagate_transport_host table_{};
  bool streaming_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<otagate_call, Ask> asked_;
  std::map<otagate_call, Want> wants_;
  std::vector<otagate_call> opens_waiting_;  // of a transport that does not stream
  std::map<otagate_reader, Reader> readers_;
  std::uint64_t next_ = 0x900000001;
  std::size_t opened_ = 0;
  bool wants_verified_ = false;  // an open waits for the fill's end
  std::size_t check_ins_ = 0;
  std::size_t resolved_ = 0;
  std::size_t offers_ = 0;
  std::uint64_t attempt_ = 0;
  bool attempt_over_ = false;
  std::vector<Report> reports_;
  bool go_on_ = false;
  bool stopping_ = false;
  bool filling_started_ = false;

  bool must_stop_ = false;  // started and not stopped; the check's thread only

  std::thread filler_;
  Instance instance_;
};

}  // namespace otagate::kit

#include "gateway/timedate.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "core/clock.hpp"
#include "support/skip.hpp"
#include "unit/state/support.hpp"

namespace otagate::gateway {
namespace {

using namespace std::chrono_literals;

int synchronised = 0;

int say_synchronised(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*,
                     sd_bus_error*) {
  return ::sd_bus_message_append(reply, "b", synchronised);
}

// A bus of our own in the place of the system's, and a timedated on it.
class TimedateTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(config_)
        << "<busconfig><type>system</type><listen>unix:path=" << (dir_ / "bus").string()
        << "</listen><auth>EXTERNAL</auth><policy context='default'><allow send_destination='*'/>"
           "<allow receive_sender='*'/><allow own='*'/><allow user='*'/></policy></busconfig>";
    daemon_ = ::fork();
    if (daemon_ == 0) {
      const std::string config = "--config-file=" + config_.string();
      ::execlp("dbus-daemon", "dbus-daemon", config.c_str(), "--nofork", "--nopidfile", nullptr);
      ::_exit(127);
    }
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + (dir_ / "bus").string()).c_str(), 1);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (::access((dir_ / "bus").c_str(), F_OK) != 0) {
      int status = 0;
      if (::waitpid(daemon_, &status, WNOHANG) == daemon_) {
        daemon_ = -1;
        OTAGATE_SKIP("dbus-daemon is not installed (apt install dbus)");
      }
      ASSERT_LT(std::chrono::steady_clock::now(), end);
      std::this_thread::yield();
    }
  }
  void TearDown() override {
    stop_service();
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    if (daemon_ <= 0) return;
    ::kill(daemon_, SIGKILL);
    ::waitpid(daemon_, nullptr, 0);
  }

  void start_service() {
    static const sd_bus_vtable kTable[] = {SD_BUS_VTABLE_START(0),
                                           SD_BUS_PROPERTY("NTPSynchronized", "b", say_synchronised, 0, 0),
                                           SD_BUS_VTABLE_END};
    ASSERT_GE(::sd_bus_open_system(&service_), 0);
    ASSERT_GE(::sd_bus_add_object_vtable(service_, nullptr, "/org/freedesktop/timedate1",
                                         "org.freedesktop.timedate1", kTable, nullptr),
              0);
    ASSERT_GE(::sd_bus_request_name(service_, "org.freedesktop.timedate1", 0), 0);
    thread_ = std::thread([this] {
      while (!stop_) {
        if (::sd_bus_process(service_, nullptr) == 0) ::sd_bus_wait(service_, 10'000);
      }
    });
  }
  void stop_service() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    service_ = ::sd_bus_close_unref(service_);
  }

  state::TempDir dir_;
  const std::filesystem::path config_ = dir_ / "bus.conf";
  pid_t daemon_ = -1;
  sd_bus* service_ = nullptr;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(TimedateTest, SaysWhatTimedatedSays) {
  EXPECT_EQ(timedate_synchronised(5s), std::nullopt);  // nobody there
  start_service();
  synchronised = 1;
  EXPECT_EQ(timedate_synchronised(5s), true);
  synchronised = 0;
  EXPECT_EQ(timedate_synchronised(5s), false);
}

TEST_F(TimedateTest, WithoutABusNothingIsKnown) {
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
  EXPECT_EQ(timedate_synchronised(1s), std::nullopt);
}

// What ProtectClock=yes does: also the reading form is refused.
void forbid_adjtimex() {
  const auto filter = std::to_array<sock_filter>({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_adjtimex, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_adjtime, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  });
  auto copy = filter;
  const sock_fprog program{static_cast<unsigned short>(copy.size()), copy.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    ::_exit(99);
}

TEST(Clock, WhereTheKernelMayNotBeAskedAReportCounts) {
  ASSERT_TRUE(kernel_clock_readable());
  const pid_t child = ::fork();
  if (child == 0) {
    forbid_adjtimex();
    if (kernel_clock_readable()) ::_exit(1);
    const bool marked = ::access("/run/systemd/timesync/synchronized", F_OK) == 0;
    if (clock_synchronised() != marked) ::_exit(2);
    report_clock_synchronised(true);
    if (!clock_synchronised()) ::_exit(3);
    report_clock_synchronised(false);
    if (clock_synchronised() != marked) ::_exit(4);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace otagate::gateway

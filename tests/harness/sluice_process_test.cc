#include "tests/harness/sluice_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::harness {
namespace {

// A shell script stands in for the binary, so that the harness is tested by itself. It calls
// systemd-notify's protocol through python3, which tests elsewhere need anyway.
class SluiceProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* before = getenv("SLUICE_BINARY");
    if (before != nullptr) before_ = before;
  }
  void TearDown() override {
    before_ ? setenv("SLUICE_BINARY", before_->c_str(), 1) : unsetenv("SLUICE_BINARY");
  }
  void use_script(const std::string& body) {
    std::string path = directory_.file("fake");
    write_file(path,
               "#!/usr/bin/env python3\nimport os, signal, socket, sys, time\n"
               "def notify(text):\n"
               "  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
               "  s.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])\n" +
                   body,
               0755);
    setenv("SLUICE_BINARY", path.c_str(), 1);
  }

  TempDir directory_;
  std::optional<std::string> before_;
};

TEST_F(SluiceProcessTest, WaitsForReadinessAndFindsPorts) {
  use_script(R"(
assert sys.argv[1:3] == ['run', '-c'], sys.argv
print(open(sys.argv[3]).read(), flush=True)
print('{"event":"listening","listener":"https","address":"127.0.0.1:4711"}', file=sys.stderr)
print('{"event":"listening","listener":"admin","address":"unix:/run/a"}', file=sys.stderr)
sys.stderr.flush()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
notify('STATUS=starting\nREADY=1')
signal.sigwait({signal.SIGTERM})
sys.exit(7)
)");
  auto process = SluiceProcess::start({.config = "state = \"@DIR@/state\"\n"});
  ASSERT_TRUE(process) << process.error();
  EXPECT_EQ((*process)->endpoint("https").port, 4711);
  EXPECT_EQ((*process)->admin().unix_path, "/run/a");
  EXPECT_NE((*process)->wait_for_output_text("state = "), std::string::npos);
  EXPECT_EQ((*process)->standard_output(),
            "state = \"" + (*process)->directory()->path() + "/state\"\n\n");
  EXPECT_EQ((*process)->notifications().at(0), "STATUS=starting");
  EXPECT_GT((*process)->memory().rss_kib, 1000u);
  EXPECT_GT((*process)->memory().pss_kib, 500u);
  (*process)->signal(SIGTERM);
  EXPECT_EQ((*process)->wait_exit(), (ExitStatus{.code = 7, .signal = 0}));
  EXPECT_FALSE((*process)->running());
}

TEST_F(SluiceProcessTest, OneThatEndsBeforeItIsReadyIsAnErrorWithItsWords) {
  use_script("print('bad config', file=sys.stderr)\nsys.exit(2)\n");
  auto process = SluiceProcess::start({.config = "x"});
  ASSERT_FALSE(process);
  EXPECT_NE(process.error().find("bad config"), std::string::npos) << process.error();
}

TEST_F(SluiceProcessTest, OneThatIsNeverReadyIsAnError) {
  use_script("time.sleep(100)\n");
  auto process = SluiceProcess::start({.config = "x", .patience = milliseconds(300)});
  ASSERT_FALSE(process);
  EXPECT_NE(process.error().find("not ready in time"), std::string::npos) << process.error();
}

TEST_F(SluiceProcessTest, ReportsWhatASanitizerSaid) {
  use_script(R"(
print('fine\n=1==ERROR: AddressSanitizer: heap-use-after-free\nstack', file=sys.stderr, flush=True)
notify('READY=1')
os.kill(os.getpid(), 9)
)");
  auto process = SluiceProcess::start({.config = "x"});
  ASSERT_TRUE(process) << process.error();
  EXPECT_EQ((*process)->wait_exit(), (ExitStatus{.code = -1, .signal = SIGKILL}));
  EXPECT_EQ((*process)->sanitizer_report(),
            "=1==ERROR: AddressSanitizer: heap-use-after-free\nstack\n");
}

TEST_F(SluiceProcessTest, ItIsKilledWithTheObject) {
  use_script("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnotify('READY=1')\ntime.sleep(100)\n");
  pid_t pid = 0;
  {
    auto process = SluiceProcess::start({.config = "x"});
    ASSERT_TRUE(process) << process.error();
    pid = (*process)->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(SluiceProcessTest, AMissingBinaryIsAnError) {
  setenv("SLUICE_BINARY", "/nonexistent/sluice", 1);
  auto process = SluiceProcess::start({.config = "x"});
  ASSERT_FALSE(process);
  EXPECT_NE(process.error().find("/nonexistent/sluice"), std::string::npos);
}

}  // namespace
}  // namespace sluice::harness

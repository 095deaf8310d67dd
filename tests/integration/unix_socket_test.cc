// Unix sockets on both sides: curl on one, a Python server on the other.
#include <sys/stat.h>

#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;

class UnixSocketTest : public SluiceTest {};

TEST_F(UnixSocketTest, CurlReachesAServerOverUnixSocketsOnly) {
  if (!harness::is_installed("curl")) GTEST_SKIP() << "curl is not installed";
  const std::string server_socket = directory_->file("app.sock");
  auto server = Child::start(
      {"/usr/bin/python3", SLUICE_SOURCE_DIR "/tests/clients/unix_server.py", server_socket});
  ASSERT_EQ(server->wait_for_line("read"), "y") << server->output();
  const std::string socket = directory_->file("http.sock");
  start({.backends = {{"blue", {{"one", "unix:" + server_socket}}}},
         .split = "{ blue = 1 }",
         .more = "[listeners.local]\naddress = \"unix:" + socket +
                 "\"\nprotocols = [\"http/1.1\", \"h2\"]\n"});
  struct stat status {};
  ASSERT_EQ(stat(socket.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  for (const char* version : {"--http1.1", "--http2-prior-knowledge"}) {
    const harness::Ran got = harness::run({"curl", "-sS", "--fail-with-body", version,
                                           "--unix-socket", socket, "http://localhost/some/path"});
    EXPECT_EQ(got.code, 0) << got.output;
    EXPECT_TRUE(got.output.starts_with("/some/path for ")) << got.output;
    const harness::Ran posted =
        harness::run({"curl", "-sS", "--fail-with-body", version, "--unix-socket", socket, "-d",
                      "a body", "http://localhost/"});
    EXPECT_EQ(posted.output, "a body");
  }
  EXPECT_EQ(harness::fetch(harness::Endpoint::unix_socket(socket), "GET", "/x").status, 200);
  EXPECT_TRUE(wait_for_status("blue", "one", "up"));
  // A socket of a process that is gone is taken over.
  kill_and_restart({.backends = {{"blue", {{"one", "unix:" + server_socket}}}},
                    .split = "{ blue = 1 }",
                    .more = "[listeners.local]\naddress = \"unix:" + socket + "\"\n"});
  EXPECT_EQ(harness::fetch(harness::Endpoint::unix_socket(socket), "GET", "/x").status, 200);
}

}  // namespace
}  // namespace sluice::integration

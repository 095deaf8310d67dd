// A real gRPC client and server (python3-grpcio), with Sluice between them.
#include "tests/harness/certificate.h"
#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Child;
using harness::Ran;

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kScript = SLUICE_SOURCE_DIR "/tests/clients/grpc_echo.py";

class GrpcTest : public SluiceTest {
 protected:
  void SetUp() override {
    if (!harness::python_has("grpc")) GTEST_SKIP() << "python3-grpcio is not installed";
  }
  void start_with_server(bool tls, const std::string& routes = "") {
    std::vector<std::string> words = {kPython, kScript, "server"};
    if (tls) {
      words.push_back(directory_->file("server.pem"));
      words.push_back(directory_->file("server.key"));
    }
    server_ = Child::start(words);
    const std::string port = server_->wait_for_line("port ");
    ASSERT_NE(port, "") << server_->output();
    std::string lines = "protocol = \"h2\"\n";
    if (tls) lines += "tls = { ca_file = \"@DIR@/server.pem\", server_name = \"localhost\" }\n";
    // It knows nothing of GET /health.
    start({.health = "enabled = false",
           .listener = "protocols = [\"http/1.1\", \"h2\"]",
           .backends = {{"blue", {{"one", "127.0.0.1:" + port}}}},
           .backend_lines = {{"blue", lines}},
           .split = "{ blue = 1 }",
           .routes = routes});
  }
  Ran client(const std::string& what, bool tls) {
    std::vector<std::string> words = {kPython, kScript, what,
                                      sluice_->endpoint(tls ? "https" : "http").text()};
    if (tls) words.push_back(directory_->file("server.pem"));
    return harness::run(words, Deadline(seconds(100)));
  }

  std::unique_ptr<Child> server_;
};

TEST_F(GrpcTest, CallsOfEveryKindWorkPlain) {
  start_with_server(false);
  const Ran ran = client("client", false);
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(ran.output, "good\n");
}

TEST_F(GrpcTest, CallsOfEveryKindWorkOverTls) {
  start_with_server(true);
  const Ran ran = client("client", true);
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(ran.output, "good\n");
}

TEST_F(GrpcTest, AServerThatIsDownIsUnavailable) {
  start_with_server(false);
  server_.reset();
  const Ran ran = client("down", false);
  EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(GrpcTest, ACallWithoutARouteIsUnimplemented) {
  start_with_server(false, "[routes.app]\npath = \"/other.Service\"\nsplit = { blue = 1 }\n");
  const Ran ran = client("unknown", false);
  EXPECT_EQ(ran.code, 0) << ran.output;
}

}  // namespace
}  // namespace sluice::integration

// The clients that people use, through Sluice, to servers of either version.
#include <fstream>
#include <set>

#include "tests/harness/child.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {
namespace {

using harness::Ran;
using harness::run;

constexpr const char* kPython = "/usr/bin/python3";
constexpr std::uint64_t kUpload = 3'000'000;

class ClientsTest : public SluiceTest, public testing::WithParamInterface<bool> {
 protected:
  // The parameter: servers speak HTTP/2.
  void start_clients() {
    Scenario scenario{.listener = "protocols = [\"http/1.1\", \"h2\"]",
                      .backends = {{"blue", {{"one", address()}}}},
                      .split = "{ blue = 1 }"};
    if (GetParam()) scenario.backend_lines["blue"] = "protocol = \"h2\"";
    start(scenario);
    harness::write_file(directory_->file("upload"), harness::pattern(kUpload));
  }
  void TearDown() override {
    SluiceTest::TearDown();
    EXPECT_THAT(h2_.violations(), testing::IsEmpty());
  }
  std::string address() const { return GetParam() ? h2_.address() : blue_.address(); }
  std::string url(const char* scheme, const std::string& path) {
    return std::string(scheme) + "://" + sluice_->endpoint(scheme).text() + path;
  }
  std::string file(const std::string& name) { return directory_->file(name); }
  harness::RecordedRequest last_request() const {
    const auto all = GetParam() ? h2_.requests() : blue_.requests();
    return all.empty() ? harness::RecordedRequest{} : all.back();
  }
  std::uint64_t requests_count() const {
    return GetParam() ? h2_.counts().requests : blue_.counts().requests;
  }
  bool is_pattern_file(const std::string& path, std::uint64_t size) {
    const std::string text = harness::read_file(path);
    return text.size() == size && harness::is_pattern(text, 0);
  }

  harness::StrictH2Origin h2_{"blue"};
};

struct Curl {
  const char* scheme;
  std::vector<std::string> words;
};

std::vector<Curl> curls() {
  return {{"http", {"--http1.1"}},
          {"http", {"--http1.0"}},
          {"http", {"--http2-prior-knowledge"}},
          {"https", {"-k", "--http1.1"}},
          {"https", {"-k", "--http2"}}};
}

TEST_P(ClientsTest, CurlGetsUploadsAndExpects) {
  start_clients();
  for (const Curl& curl : curls()) {
    auto with = [&](std::vector<std::string> more) {
      std::vector<std::string> words = {"curl", "-sS", "--fail-with-body", "--max-time", "60"};
      words.insert(words.end(), curl.words.begin(), curl.words.end());
      words.insert(words.end(), more.begin(), more.end());
      Ran ran = run(words, Deadline(seconds(70)));
      EXPECT_EQ(ran.code, 0) << testing::PrintToString(words) << "\n" << ran.output;
      return ran.output;
    };
    const bool h2 = curl.words.back().starts_with("--http2");
    EXPECT_EQ(with({"-w", "%{http_version}", url(curl.scheme, "/")}),
              std::string("backend blue\n") + (h2 ? "2" : "1.1"));
    with({"-o", file("down"), url(curl.scheme, "/bytes/3000000")});
    EXPECT_TRUE(is_pattern_file(file("down"), 3'000'000));
    // With a length, which curl asks about first; and without one.
    with({"-o", file("down"), "-T", file("upload"), url(curl.scheme, "/echo")});
    EXPECT_TRUE(is_pattern_file(file("down"), kUpload)) << curl.words.back();
    if (curl.words.back() != "--http1.0") {
      with({"-o", file("down"), "-H", "Transfer-Encoding: chunked", "-T", file("upload"), "-X",
            "POST", url(curl.scheme, "/echo")});
      EXPECT_TRUE(is_pattern_file(file("down"), kUpload)) << curl.words.back();
    }
    with({"-H", "Range: bytes=5-9", url(curl.scheme, "/")});
    EXPECT_EQ(last_request().fields.get("Range"), "bytes=5-9");
    EXPECT_NE(with({"-I", url(curl.scheme, "/bytes/1234")}).find("1234"), std::string::npos);
    // curl 7.88 breaks its own framing there, with any server.
    if (curl.words.back() == "--http2-prior-knowledge") continue;
    with({"-Z", "--parallel-max", "20", "-o", file("a"), url(curl.scheme, "/bytes/100000"), "-o",
          file("b"), url(curl.scheme, "/chunked/200000"), "-o", file("c"),
          url(curl.scheme, "/slow?ms=20")});
    EXPECT_TRUE(is_pattern_file(file("b"), 200'000));
  }
}

TEST_P(ClientsTest, CurlSeesWhatIsCut) {
  start_clients();
  for (const Curl& curl : curls()) {
    for (const char* target : {"/truncate/3000000", "/truncate-chunked/3000000"}) {
      std::vector<std::string> words = {"curl", "-sS", "-o", file("cut"), "--max-time", "30"};
      words.insert(words.end(), curl.words.begin(), curl.words.end());
      words.push_back(url(curl.scheme, target));
      EXPECT_NE(run(words).code, 0) << target << " " << curl.words.back();
    }
  }
}

TEST_P(ClientsTest, NghttpGetsAndPosts) {
  start_clients();
  for (const char* scheme : {"http", "https"}) {
    const Ran got = run({"nghttp", "-ns", "--no-verify-peer", url(scheme, "/bytes/100000"),
                         url(scheme, "/"), url(scheme, "/chunked/5000")});
    EXPECT_EQ(got.code, 0) << got.output;
    EXPECT_NE(got.output.find(" 200 "), std::string::npos) << got.output;
    EXPECT_EQ(got.output.find("ERROR"), std::string::npos) << got.output;
    const Ran posted = run({"nghttp", "-v", "--no-verify-peer", "-d", file("upload"), "--trailer",
                            "x-sum: 1", url(scheme, "/upload")});
    EXPECT_EQ(posted.code, 0) << posted.output;
    EXPECT_EQ(last_request().body_size, kUpload);
    // Behind a body with Content-Length HTTP/1 has no place for them.
    if (GetParam()) {
      EXPECT_EQ(last_request().trailers.get("x-sum"), "1");
    }
  }
}

TEST_P(ClientsTest, H2loadFailsNothing) {
  start_clients();
  const int connections = sanitized() ? 10 : 100;
  const int wanted = sanitized() ? 2000 : 20'000;
  for (const char* scheme : {"https", "http"}) {
    const std::uint64_t before = requests_count();
    const Ran ran = run({"h2load", "-n", std::to_string(wanted), "-c", std::to_string(connections),
                         "-m", "100", "-t", "1", url(scheme, "/bytes/1000")},
                        Deadline(seconds(100)));
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_NE(
        ran.output.find(std::to_string(wanted) + " succeeded, 0 failed, 0 errored, 0 timeout"),
        std::string::npos)
        << ran.output;
    EXPECT_EQ(requests_count(), before + static_cast<std::uint64_t>(wanted));
  }
}

TEST_P(ClientsTest, PythonsH2GetsUploadsAndReadsTrailers) {
  if (!harness::python_has("h2")) GTEST_SKIP() << "python3-h2 is not installed";
  start_clients();
  for (const char* scheme : {"http", "https"}) {
    std::vector<std::string> words = {kPython, SLUICE_SOURCE_DIR "/tests/clients/h2_client.py",
                                      std::to_string(sluice_->endpoint(scheme).port)};
    if (scheme == std::string_view("https")) words.emplace_back("tls");
    const Ran ran = run(words, Deadline(seconds(60)));
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_EQ(ran.output, "good\n");
  }
}

INSTANTIATE_TEST_SUITE_P(To, ClientsTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "H2" : "H1"; });

class BrowserTest : public SluiceTest {};

TEST_F(BrowserTest, ChromiumLoadsAPageOfAHundredResourcesOverHttp2) {
  if (!harness::is_installed("chromium")) GTEST_SKIP() << "chromium is not installed";
  auto server = harness::Child::start({kPython, SLUICE_SOURCE_DIR "/tests/clients/page_server.py"});
  const std::string port = server->wait_for_line("port ");
  ASSERT_NE(port, "") << server->output();
  start({.backends = {{"blue", {{"one", "127.0.0.1:" + port}}}},
         .split = "{ blue = 1 }",
         .more = "[access_log]\nenabled = true\npath = \"@DIR@/access.log\"\n"});
  const Ran ran = run(
      {"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
       "--no-first-run", "--disable-background-networking", "--disable-component-update",
       "--disable-sync", "--ignore-certificate-errors", "--disable-dev-shm-usage",
       "--user-data-dir=" + directory_->file("profile"), "--virtual-time-budget=60000",
       "--dump-dom", "https://localhost:" + std::to_string(sluice_->endpoint("https").port) + "/"},
      Deadline(seconds(100)));
  EXPECT_NE(ran.output.find("<title>loaded, 0 bad, over h2</title>"), std::string::npos)
      << ran.output;
  EXPECT_EQ(server->wait_for_line("beacon "), "bad=0&over=h2");
  stop();
  std::ifstream log(directory_->file("access.log"));
  int lines = 0;
  std::set<std::string> connections;
  for (std::string line; std::getline(log, line); ++lines) {
    connections.insert(json::parse(line).value("client", ""));
  }
  EXPECT_GE(lines, 100);
  EXPECT_LE(connections.size(), 3u) << "all resources share a connection";
}

}  // namespace
}  // namespace sluice::integration

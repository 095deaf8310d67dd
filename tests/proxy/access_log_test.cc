#include "proxy/data/access_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "proxy/data/stream.h"
#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    std::string name = testing::TempDir() + "access-log-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    client_.peer = *Address::parse("192.0.2.7:4711");
    client_.listener = "https";
    client_.is_tls = true;
    client_.tls_version = "TLSv1.3";
    client_.tls_cipher = "TLS_AES_128_GCM_SHA256";
  }
  ~AccessLogTest() override { std::filesystem::remove_all(directory_); }

  AccessRecord record(std::string_view target = "/a?b=c") const {
    AccessRecord record;
    record.time = WallTime(std::chrono::seconds(1'700'000'000));
    record.client = &client_;
    record.request_id = "id-1";
    record.method = "GET";
    record.host = "example.com";
    record.target = target;
    record.route = "app";
    record.backend = "blue";
    record.server = "web-1";
    record.revision = 42;
    record.status = 200;
    record.outcome = "complete";
    record.response_bytes = 1234;
    record.duration = std::chrono::microseconds(1500);
    record.until_response = std::chrono::microseconds(1200);
    record.attempts = 1;
    return record;
  }

  std::string directory_;
  ClientInfo client_;
};

TEST_F(AccessLogTest, ALineIsOneJsonObjectWithEverythingAnOperatorAsksFor) {
  std::string line;
  append_access_line(line, record());
  ASSERT_TRUE(line.ends_with("}\n"));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["time"], "2023-11-14T22:13:20.000000000Z");
  EXPECT_EQ(json["client"], "192.0.2.7:4711");
  EXPECT_EQ(json["route"], "app");
  EXPECT_EQ(json["backend"], "blue");
  EXPECT_EQ(json["server"], "web-1");
  EXPECT_EQ(json["revision"], 42);
  EXPECT_EQ(json["method"], "GET");
  EXPECT_EQ(json["path"], "/a?b=c");
  EXPECT_EQ(json["status"], 200);
  EXPECT_EQ(json["response_bytes"], 1234);
  EXPECT_DOUBLE_EQ(json["duration_ms"], 1.5);
  EXPECT_DOUBLE_EQ(json["until_response_ms"], 1.2);
  EXPECT_EQ(json["request_id"], "id-1");
  EXPECT_EQ(json["tls_version"], "TLSv1.3");
  EXPECT_EQ(json["tls_cipher"], "TLS_AES_128_GCM_SHA256");
}

TEST_F(AccessLogTest, NoByteOfARequestBreaksTheLine) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string line;
  append_access_line(line, record(all));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST_F(AccessLogTest, WritesEveryLineOfEveryWorkerInOrder) {
  const std::string path = directory_ + "/access.log";
  {
    auto log = AccessLog::open(path, 2);
    ASSERT_TRUE(log) << log.error();
    std::thread other([&] {
      for (int i = 0; i < 2000; ++i) {
        while (!(*log)->write(1, record("/1/" + std::to_string(i)))) std::this_thread::yield();
      }
    });
    for (int i = 0; i < 2000; ++i) {
      while (!(*log)->write(0, record("/0/" + std::to_string(i)))) std::this_thread::yield();
    }
    other.join();
  }
  std::ifstream file(path);
  int next[2] = {0, 0};
  for (std::string line; std::getline(file, line);) {
    const std::string target = nlohmann::json::parse(line)["path"];
    const int worker = target[1] - '0';
    ASSERT_EQ(target.substr(3), std::to_string(next[worker]++));
  }
  EXPECT_EQ(next[0], 2000);
  EXPECT_EQ(next[1], 2000);
}

TEST_F(AccessLogTest, G9AStuckSinkDropsLinesAndNeverBlocks) {
  const std::string path = directory_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const io::FileDescriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto log = AccessLog::open(path, 1);
  ASSERT_TRUE(log) << log.error();
  const auto began = std::chrono::steady_clock::now();
  int dropped = 0;
  for (int i = 0; i < 20'000; ++i) dropped += (*log)->write(0, record()) ? 0 : 1;
  EXPECT_GT(dropped, 10'000);
  log->reset();
  // Closing waits for the sink, but not for ever.
  EXPECT_LT(std::chrono::steady_clock::now() - began,
            LineLog::kCloseTimeout + std::chrono::seconds(10));
}

TEST_F(AccessLogTest, ASinkThatCannotBeOpenedIsASentence) {
  const auto log = AccessLog::open(directory_ + "/none/access.log", 1);
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error(), testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace sluice::proxy

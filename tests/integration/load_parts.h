// What the load tests share: numbers from the environment, and WebSockets whose server sends every
// byte back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "tests/harness/h2_client.h"
#include "tests/harness/http_client.h"

namespace sluice::integration {

// The number that an environment variable says.
std::uint64_t number_from(const char* name, std::uint64_t otherwise);

// A WebSocket to `/tunnel` of that host; the error says what came instead.
std::expected<std::unique_ptr<harness::HttpClient>, std::string> open_tunnel(
    const harness::Endpoint& endpoint, const std::string& host);
// Sends the message and reads it back; empty, or what went wrong.
std::string carry(harness::HttpClient& tunnel, const std::string& message);

// HTTP/1 exchanges, one after another, each of which must come back whole with a status of 200.
struct SerialLoad {
  bool tls = false;
  // Asks, and says how long the body must be.
  std::function<harness::Response(harness::HttpClient&, std::size_t& expected)> ask;
  std::function<void()> on_whole;
};
// Until `running` is false; empty, or what went wrong.
std::string run(const SerialLoad& load, const harness::Endpoint& endpoint,
                const std::atomic<bool>& running);

// HTTP/2 uploads to `/echo`, eight at a time, each of which must come back whole.
struct EchoLoad {
  struct Upload {
    harness::Fields fields;  // Host among them
    std::size_t size = 0;
  };
  std::string name;  // in what is said of a failure
  std::function<std::expected<std::unique_ptr<harness::H2Client>, std::string>()> connect;
  std::function<Upload()> next;
  std::function<void()> on_whole;
};
// Until `running` is false; empty, or what went wrong.
std::string run(const EchoLoad& load, const std::atomic<bool>& running);

}  // namespace sluice::integration

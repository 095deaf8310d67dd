// What the load tests share: numbers from the environment, and WebSockets whose server sends every
// byte back.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "tests/harness/http_client.h"

namespace sluice::integration {

// The number that an environment variable says.
std::uint64_t number_from(const char* name, std::uint64_t otherwise);

// A WebSocket to `/tunnel` of that host; the error says what came instead.
std::expected<std::unique_ptr<harness::HttpClient>, std::string> open_tunnel(
    const harness::Endpoint& endpoint, const std::string& host);
// Sends the message and reads it back; empty, or what went wrong.
std::string carry(harness::HttpClient& tunnel, const std::string& message);

}  // namespace sluice::integration

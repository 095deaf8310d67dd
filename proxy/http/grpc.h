// What a proxy has to know of gRPC: which requests are calls, and how it says no to them. Pure.
// See gRPC's "PROTOCOL-HTTP2" and "http-grpc-status-mapping".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/message.h"

namespace sluice::http {

// gRPC's own numbers.
enum class GrpcStatus : std::uint8_t {
  unknown = 2,
  deadline_exceeded = 4,
  permission_denied = 7,
  resource_exhausted = 8,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  unauthenticated = 16,
};

// By its Content-Type: `application/grpc`, with or without a suffix (`+proto`) and parameters.
// gRPC-Web is something else: its clients read HTTP statuses.
bool is_grpc(const Fields& request_fields);

// As a client would read the HTTP status, were it to get this one: `unavailable`, which it may try
// again, for 429, 502, 503 and 504; `internal` for 400. Beyond gRPC's own table, 408 is
// `deadline_exceeded`, and 413, 414 and 431 are `resource_exhausted`.
GrpcStatus grpc_status_for(int http_status);

// As `grpc-message` has it: printable ASCII but `%` as it is, every other byte as %XX.
std::string grpc_message(std::string_view text);

}  // namespace sluice::http

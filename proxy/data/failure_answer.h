// What a client is answered when its exchange fails on the server's side.
#pragma once

#include <string_view>

#include "proxy/data/stream.h"

namespace sluice::proxy {

struct FailureAnswer {
  int status;
  std::string_view error;  // RFC 9209 §2.3
  std::string_view explanation;
};

FailureAnswer answer_for(BackendFailure::Kind kind);
// The server could not be reached at all.
bool is_connect_failure(BackendFailure::Kind kind);

}  // namespace sluice::proxy

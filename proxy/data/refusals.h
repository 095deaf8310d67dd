// What a request that was refused for its bytes counts as, whatever its version.
#pragma once

#include "admin/worker_counters.h"
#include "proxy/http/parse_error.h"

namespace sluice::proxy {

// `error.status`: what the client is answered.
inline void count_refusal(admin::WorkerCounters& counters, const http::ParseError& error) {
  using admin::Count;
  counters.add(admin::count_for_refusal(error.status));
  switch (error.bound) {
    case http::HeadBound::none:
      break;
    case http::HeadBound::request_line_bytes:
      counters.add(Count::limit_request_line_bytes);
      break;
    case http::HeadBound::field_line_bytes:
      counters.add(Count::limit_field_line_bytes);
      break;
    case http::HeadBound::head_bytes:
      counters.add(Count::limit_head_bytes);
      break;
    case http::HeadBound::field_count:
      counters.add(Count::limit_field_count);
      break;
  }
}

}  // namespace sluice::proxy

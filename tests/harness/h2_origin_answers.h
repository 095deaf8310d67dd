// What a StrictH2Origin answers to which path: pure, no socket. The list is in strict_h2_origin.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/fields.h"
#include "tests/harness/h2_frames.h"
#include "tests/harness/origin_answers.h"

namespace sluice::harness {

struct H2Answer {
  enum class Then {
    end,
    reset,  // RST_STREAM instead of the end
    cut,    // the connection is closed
  };
  std::vector<Fields> interim;  // before anything else, `:status` first
  Fields head;                  // `:status` first; empty: no response at all
  std::uint64_t pattern_size = 0;
  std::string tail;  // behind the pattern
  Fields trailers;
  Then then = Then::end;
  std::uint32_t code = h2::kInternalError;  // of the reset
  milliseconds delay{0};
  // Wait for release() once this many pattern bytes are out; 0 with `hold_head`: before the head.
  std::optional<std::uint64_t> hold_at;
  bool hold_head = false;
  // Raw frames instead of all that.
  std::string raw;
};

H2Answer h2_answer_to(const Behaviour& behaviour, const AnswerTo& request);

// Malformed and hostile answers: frames for `stream`, which no HTTP/2 server may send.
struct H2Garbage {
  std::string name;
  // True: a good head comes before the fault, and may have gone to the client already.
  bool late = false;
  // True: the fault is the connection's, not the stream's.
  bool ends_connection = false;
};
const std::vector<H2Garbage>& h2_garbage_kinds();
std::string h2_garbage(std::string_view kind, std::uint32_t stream);

}  // namespace sluice::harness

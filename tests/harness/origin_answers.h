// What a StrictOrigin answers to which path: pure, no socket. The list is in strict_origin.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/deadline.h"
#include "tests/harness/fields.h"

namespace sluice::harness {

// Known from the head alone.
struct Behaviour {
  std::string name;   // first path segment: `bytes`; empty for anything that has no behaviour
  std::string value;  // the next one: `100`
  std::string query;

  // Answered as soon as the head is in, whatever body follows.
  bool early() const { return name == "early" || name == "early-close"; }
  std::uint64_t number() const;
};
Behaviour behaviour_of(std::string_view target, const Fields& fields);

// Everything to send, in order: before, head, `pattern_size` pattern bytes (as chunks if
// `chunked`), tail; then what becomes of the connection.
struct Answer {
  enum class Then { keep, close, reset };
  std::string head;
  std::uint64_t pattern_size = 0;
  bool chunked = false;
  std::string tail;
  Then then = Then::keep;
  milliseconds delay{0};
  // Wait for release() once this many pattern bytes are out; 0 with `hold_head`: before the head.
  std::optional<std::uint64_t> hold_at;
  bool hold_head = false;
};

struct AnswerTo {
  std::string_view backend;
  std::string_view method;
  std::string_view body;  // the request's, for /echo
  std::string_view content_type;
  int health_status = 200;
};
Answer answer_to(const Behaviour& behaviour, const AnswerTo& request);
// What goes out when the head is in and the body may follow: 100 or another 1xx; mostly empty.
std::string interim_for(const Behaviour& behaviour, bool expects_continue);

const std::vector<std::string>& garbage_kinds();

}  // namespace sluice::harness

// What RFC 9113 section 8 demands of a request, written down once more for the tests: pure, and
// without anything of the proxy's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/harness/fields.h"

namespace sluice::harness {

// Empty, or what is wrong. `fields` are all that came, pseudo-header fields too, in order.
std::string check_h2_request(const Fields& fields, bool end_stream);
std::string check_h2_trailers(const Fields& fields);
// nullopt: none is said.
std::optional<std::uint64_t> h2_content_length(const Fields& fields);

}  // namespace sluice::harness

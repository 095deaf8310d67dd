// nghttp2 as a SessionState uses it: its options, and its C callbacks, which do nothing but call
// SessionState's members. For session*.cc only.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>

#include "proxy/h2/session_state.h"

namespace sluice::h2 {

// A frame type that nobody uses. nghttp2 tells of one as long as it reads at all: how
// SessionState::is_alive() finds out.
inline constexpr std::uint8_t kProbeFrameType = 0xfb;

// Made for `state`, which outlives it; never null.
nghttp2_session* make_nghttp2_session(SessionState& state);

// Where nghttp2 gets a stream's data from.
nghttp2_data_provider data_provider(StreamState& stream);

}  // namespace sluice::h2

#include "proxy/h2/nghttp2_glue.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "proxy/base/check.h"

namespace sluice::h2 {
namespace {

// Acknowledgements of SETTINGS and PING that wait for a peer who doesn't read.
constexpr std::size_t kUnsentAcksMax = 256;
// What forwarding adds to a head of head_bytes at most, HPACK's overhead counted.
constexpr std::size_t kAddedHeadBytesMax = 64 * 1024;

SessionState& state_of(void* user_data) {
  return *static_cast<SessionState*>(user_data);
}

Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user_data) noexcept {
  if (header->type == kProbeFrameType) state_of(user_data).probe_seen = true;
  return 0;
}

// Frames of type kProbeFrameType say nothing.
int on_unpack_extension(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) noexcept {
  return NGHTTP2_ERR_CANCEL;
}

int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) noexcept {
  state_of(user_data).on_begin_section(*frame);
  return 0;
}

int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
              std::size_t name_length, const std::uint8_t* value, std::size_t value_length,
              std::uint8_t flags, void* user_data) noexcept {
  SessionState& state = state_of(user_data);
  state.on_field(text_of(name, name_length), text_of(value, value_length),
                 (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
  return state.failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

// What nghttp2 would drop, and go on: no field is dropped here. The reader says what is wrong.
int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame,
                      const std::uint8_t* name, std::size_t name_length, const std::uint8_t* value,
                      std::size_t value_length, std::uint8_t flags, void* user_data) noexcept {
  on_header(session, frame, name, name_length, value, value_length, flags, user_data);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int on_data_chunk(nghttp2_session*, std::uint8_t, std::int32_t stream_id, const std::uint8_t* data,
                  std::size_t size, void* user_data) noexcept {
  state_of(user_data).on_data(stream_id, bytes_of(data, size));
  return 0;
}

int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user_data) noexcept {
  state_of(user_data).on_frame(*frame);
  return 0;
}

int on_invalid_frame_recv(nghttp2_session*, const nghttp2_frame* frame, int error,
                          void* user_data) noexcept {
  state_of(user_data).on_invalid_frame(*frame, error);
  return 0;
}

int on_stream_close(nghttp2_session*, std::int32_t stream_id, std::uint32_t code,
                    void* user_data) noexcept {
  state_of(user_data).on_stream_gone(stream_id, code);
  return 0;
}

int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user_data) noexcept {
  state_of(user_data).on_frame_sent(*frame);
  return 0;
}

int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) noexcept {
  state_of(user_data).on_frame_not_sent(*frame);
  return 0;
}

ssize_t read_data(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t room,
                  std::uint32_t* flags, nghttp2_data_source* source, void* user_data) noexcept {
  return state_of(user_data).on_read_data(*static_cast<StreamState*>(source->ptr), room, *flags);
}

int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t length,
              nghttp2_data_source* source, void* user_data) noexcept {
  return state_of(user_data).on_write_data(*static_cast<StreamState*>(source->ptr),
                                           bytes_of(head, FrameHeader::kBytes), length);
}

using Callbacks = std::unique_ptr<nghttp2_session_callbacks, void (*)(nghttp2_session_callbacks*)>;

Callbacks make_callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  SLUICE_CHECK(nghttp2_session_callbacks_new(&made) == 0);
  nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
  nghttp2_session_callbacks_set_unpack_extension_callback(made, on_unpack_extension);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame_recv);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_send);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_send);
  nghttp2_session_callbacks_set_send_data_callback(made, send_data);
  return {made, nghttp2_session_callbacks_del};
}

using NgOptions = std::unique_ptr<nghttp2_option, void (*)(nghttp2_option*)>;

NgOptions make_options(const Options& options) {
  nghttp2_option* made = nullptr;
  SLUICE_CHECK(nghttp2_option_new(&made) == 0);
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  nghttp2_option_set_max_outbound_ack(made, kUnsentAcksMax);
  nghttp2_option_set_user_recv_extension_type(made, kProbeFrameType);
  nghttp2_option_set_max_send_header_block_length(
      made, 2 * options.head_limits.head_bytes + kAddedHeadBytesMax);
  // The budget counts these, for both roles and with what was earned: nghttp2's own bounds come
  // behind it.
  nghttp2_option_set_max_continuations(made, std::size_t{options.budget.continuations} + 1);
  nghttp2_option_set_stream_reset_rate_limit(made, std::numeric_limits<std::uint32_t>::max(),
                                             std::numeric_limits<std::uint32_t>::max());
  return {made, nghttp2_option_del};
}

}  // namespace

nghttp2_session* make_nghttp2_session(SessionState& state) {
  static const Callbacks kCallbacks = make_callbacks();
  const NgOptions options = make_options(state.options);
  const auto make = state.server() ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
  nghttp2_session* made = nullptr;
  SLUICE_CHECK(make(&made, kCallbacks.get(), &state, options.get()) == 0);
  return made;
}

nghttp2_data_provider data_provider(StreamState& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = read_data;
  return provider;
}

}  // namespace sluice::h2

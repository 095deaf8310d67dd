// H2OriginSession: one connection of a StrictH2Origin, without its socket: bytes in, bytes out.
// Owned by the origin's loop, used on its thread. Facts go to the observer as they happen.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/h2_origin_answers.h"
#include "tests/harness/pattern.h"
#include "tests/harness/strict_h2_origin.h"

namespace sluice::harness {

class H2OriginObserver {
 public:
  virtual void on_violation(std::uint64_t connection, const std::string& what) = 0;
  virtual void on_stream() = 0;                    // its head has come
  virtual void on_stream_over(bool complete) = 0;  // complete: the request was
  virtual void on_streams_at_once(std::size_t n) = 0;
  virtual void on_request(RecordedRequest request, bool probe) = 0;
  virtual void on_turned_away() = 0;
  virtual void on_reset() = 0;
  virtual void on_body(std::size_t bytes) = 0;
  virtual void on_held(int change) = 0;
  // True for the first who asks since the origin's start or forget().
  virtual bool take_once() = 0;
  virtual int health_status() = 0;
  // on_timer() of that stream then.
  virtual void arm(std::uint64_t connection, std::int32_t stream, milliseconds after) = 0;

 protected:
  ~H2OriginObserver() = default;
};

class H2OriginSession {
 public:
  H2OriginSession(const StrictH2Origin::Options& options, std::uint64_t connection,
                  H2OriginObserver& observer);
  ~H2OriginSession();
  H2OriginSession(const H2OriginSession&) = delete;
  H2OriginSession& operator=(const H2OriginSession&) = delete;

  // False: the connection is to be closed.
  bool receive(std::string_view bytes);
  // Moves what there is to send behind `out`, as far as that may grow. False: then close.
  bool fill(std::string& out);
  void on_timer(std::int32_t stream);
  void release();
  void go_away();
  // The connection is gone: what is open is over.
  void end();
  bool busy() const { return !streams_.empty(); }
  // Requests that have come, even in part, and are not answered in full; probes don't count.
  std::size_t unfinished() const;

 private:
  struct Stream {
    std::int32_t id = 0;
    RecordedRequest request;
    Behaviour behaviour;
    Digest digest;
    std::string echo_body;
    std::uint64_t stalled_bytes = 0;  // of the window, to be given back by release()
    bool stalls = false;
    bool is_tunnel = false;
    bool head_done = false;
    bool request_done = false;
    bool answered = false;   // begin_answer() has run
    bool submitted = false;  // the answer's head is out
    bool head_held = false;
    bool body_held = false;
    H2Answer answer;
    std::uint64_t pattern_sent = 0;
    std::size_t tail_sent = 0;
    std::string tunnel;  // to be sent back
    bool turned_away = false;
  };

  static int on_begin(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_field(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* self);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_chunk(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                      std::size_t size, void* self);
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* self);
  static int on_invalid(nghttp2_session*, const nghttp2_frame* frame, int code, void* self);
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* self);

  void violation(const std::string& what);
  Stream* find(std::int32_t id);
  void head_done(Stream& stream, bool end_stream);
  void take_body(Stream& stream, std::string_view bytes);
  void request_done(Stream& stream);
  void begin_answer(Stream& stream);
  void submit_answer(Stream& stream);
  void submit_interim(Stream& stream, const Fields& head);
  void reset_stream(Stream& stream, std::uint32_t code);
  ssize_t produce(Stream& stream, std::uint8_t* out, std::size_t room, std::uint32_t* flags);

  const StrictH2Origin::Options& options_;
  const std::uint64_t connection_;
  H2OriginObserver& observer_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, std::unique_ptr<Stream>> streams_;
  Fields section_;           // that is coming
  std::uint64_t count_ = 0;  // streams so far
  std::int32_t last_served_ = 0;
  std::int32_t last_stream_ = 0;
  std::string raw_;  // goes out as it is
  bool cut_ = false;
  bool went_away_ = false;
};

}  // namespace sluice::harness

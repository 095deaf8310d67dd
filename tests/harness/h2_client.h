// H2Client: one HTTP/2 client connection, plain or TLS, that sends any bytes it is told to beside
// well-formed requests, many at a time. Owned by one test thread; nothing is sent or read but
// within its functions. Every wait has a deadline.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/byte_stream.h"
#include "tests/harness/deadline.h"
#include "tests/harness/h2_frames.h"
#include "tests/harness/http_client.h"
#include "tests/harness/net.h"
#include "tests/harness/pattern.h"

namespace sluice::harness {

// Outcome::reset: RST_STREAM, whose code is in reset_code, or the connection broke.
// Outcome::truncated: the connection ended first.
struct H2Response : Response {
  std::optional<std::uint32_t> reset_code;
  // END_STREAM came.
  bool ended = false;
};

class H2Client {
 public:
  struct Options {
    std::optional<ClientTls> tls;  // offers `h2` unless `alpn` says otherwise
    milliseconds patience = kPatience;
    bool greets = true;   // sends the preface and SETTINGS
    bool answers = true;  // acknowledges SETTINGS and PING
    // Gives the window back for data as it comes; otherwise the test does.
    bool opens_windows = true;
    h2::Settings settings;  // beside what is the default
    bool keeps_bodies = true;
    int receive_buffer = 0;  // SO_RCVBUF, bytes; 0: the kernel's own
  };
  struct Ask {
    std::string method = "GET";
    std::string target = "/";
    Fields fields;    // names go out in lower case; Host becomes :authority
    bool end = true;  // no body follows
  };
  struct GoAway {
    std::uint32_t last_stream = 0;
    std::uint32_t code = 0;
    std::string text;
  };

  static std::expected<std::unique_ptr<H2Client>, std::string> connect(const Endpoint& endpoint,
                                                                       Options options);
  static std::expected<std::unique_ptr<H2Client>, std::string> connect(const Endpoint& endpoint);
  static std::expected<std::unique_ptr<H2Client>, std::string> connect_tls(const Endpoint& endpoint,
                                                                           ClientTls tls = {});
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  // --- Bytes --------------------------------------------------------------------------------
  // Sends them all, and takes in what comes meanwhile. False: the connection is over, or the peer
  // takes nothing for too long.
  bool send(std::string_view bytes);
  // The same in pieces of that size, each a write of its own. What the client says of itself
  // (acknowledgements, window updates, bodies) waits behind the last one: it would stand in the
  // middle of a frame.
  bool send_in_pieces(std::string_view bytes, std::size_t piece);
  // Sends what is queued and takes in what comes, until the condition is true. False: it isn't
  // when the deadline comes, or when the connection has ended.
  bool wait_until(const std::function<bool()>& condition, Deadline deadline);
  bool wait_until(const std::function<bool()>& condition);
  // One round of that: waits for something to do or for the deadline. False: the connection is
  // over.
  bool step(Deadline deadline);

  // --- Requests -----------------------------------------------------------------------------
  // The next unused stream; for those who write their own frames.
  std::uint32_t take_stream();
  // Its fields as they go out.
  static Fields request_fields(const Ask& ask);
  // Queues a request's head.
  std::uint32_t begin(const Ask& ask);
  // Queues a part of a body; it goes out as the peer's windows let it, and not to a stream that the
  // peer has reset.
  void put(std::uint32_t stream, std::string_view bytes, bool end);
  void put_trailers(std::uint32_t stream, const Fields& trailers);
  // Waits until all of the stream's body that was put is on its way, and its end if that was.
  bool sent(std::uint32_t stream);
  std::size_t unsent(std::uint32_t stream) const;
  // RST_STREAM, and the stream is forgotten.
  void cancel(std::uint32_t stream, std::uint32_t code = h2::kCancel);
  // Waits for its final head.
  bool wait_for_head(std::uint32_t stream);
  // Waits until it is over, and forgets it.
  H2Response finish(std::uint32_t stream);
  H2Response request(std::string_view method, std::string_view target, std::string_view body = {},
                     const Fields& fields = {});
  H2Response get(std::string_view target) { return request("GET", target); }
  // What has come of it so far.
  const H2Response& response(std::uint32_t stream) const { return streams_.at(stream).response; }
  bool over(std::uint32_t stream) const;

  // --- The connection -----------------------------------------------------------------------
  const std::optional<GoAway>& go_away() const { return go_away_; }
  Ending ending() const { return ending_; }
  // What the peer sent that it must not.
  const std::string& violation() const { return violation_; }
  // The peer's, once its SETTINGS have come.
  std::optional<std::uint32_t> setting(std::uint16_t name) const;
  std::uint64_t frames(std::uint8_t type) const;  // received
  std::uint64_t bytes_received() const { return bytes_received_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }
  std::string alpn() const { return transport_.alpn(); }
  // No more window for that stream's data from here on, though the connection's stays open.
  void hold_window(std::uint32_t stream) { streams_.at(stream).window_held = true; }
  // How much of a body may be sent now.
  std::int64_t window(std::uint32_t stream) const;
  // Our end.
  void finish_sending() { transport_.finish(); }
  void reset();

 private:
  struct Stream {
    H2Response response;
    bool final_head = false;
    bool closed = false;
    bool window_held = false;
    std::int64_t window = 0;  // what the peer still takes
    std::string unsent;
    std::optional<Fields> trailers;
    bool end_queued = false;
    bool end_sent = false;
    Digest digest;
  };

  H2Client(ByteStream transport, Options options);
  std::expected<void, std::string> shake_hands();
  // A frame of our own making, not the test's: never between the pieces of one.
  void say(std::string_view frame) { (in_pieces_ ? unsaid_ : output_) += frame; }
  void queue_bodies();
  void queue_body(std::uint32_t id, Stream& stream);
  bool read_some();
  void on_frame(const h2::Frame& frame);
  void on_settings(const h2::Frame& frame);
  void on_section(std::uint32_t id, const std::string& section, bool end);
  void on_data(const h2::Frame& frame);
  void on_end(Stream& stream);
  Stream& stream(std::uint32_t id);
  void fail(const std::string& why);

  Options options_;
  bssl::UniquePtr<SSL_CTX> context_;
  ByteStream transport_;
  h2::FrameReader reader_;
  h2::SectionDecoder decoder_;
  std::string output_;
  std::size_t output_sent_ = 0;
  bool in_pieces_ = false;  // within send_in_pieces()
  std::string unsaid_;      // what waits for its end; empty otherwise
  std::map<std::uint32_t, Stream> streams_;
  std::uint32_t next_stream_ = 1;
  std::int64_t connection_window_ = 65'535;
  std::uint32_t initial_window_ = 65'535;
  std::uint32_t frame_max_ = 16'384;
  std::map<std::uint16_t, std::uint32_t> peer_settings_;
  bool settings_seen_ = false;
  std::string section_;  // of the field section that is coming
  std::optional<h2::Frame> section_start_;
  std::optional<GoAway> go_away_;
  Ending ending_ = Ending::open;
  std::string violation_;
  std::map<std::uint8_t, std::uint64_t> frames_;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace sluice::harness

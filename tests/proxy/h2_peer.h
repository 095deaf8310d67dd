// H2Peer: the other side of an HTTP/2 connection over a fake network, client or server, frame by
// frame, with no code of the proxy's. It keeps to the rules where it is asked for something
// (windows, acknowledgements), and sends any bytes that it is given.
//
// Owned by a test or simulation; step() after each turn of the loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/h2_frames.h"
#include "tests/io/fake_network.h"

namespace sluice::proxy {

namespace wire = harness::h2;
using WireFields = harness::Fields;

class H2Peer {
 public:
  struct Options {
    bool is_server = false;
    wire::Settings settings;
    bool acknowledges = true;   // SETTINGS
    bool opens_windows = true;  // gives the windows back for data as it comes
  };
  struct Stream {
    std::vector<WireFields> interim;
    WireFields head;  // the response, or the request
    bool has_head = false;
    std::string body;
    WireFields trailers;
    bool ended = false;
    std::optional<std::uint32_t> reset;  // by the other side
    // What is still to be sent.
    std::string unsent;
    bool ends = false;
    std::int64_t window = 0;

    std::string status() const { return head.get(":status").value_or(""); }
    // Nothing more will come.
    bool over() const { return ended || reset.has_value(); }
  };
  struct GoAway {
    std::uint32_t last_stream = 0;
    std::uint32_t code = 0;
  };

  H2Peer() = default;
  // Sends the preface (a client) and SETTINGS.
  H2Peer(io::Peer peer, Options options);
  explicit H2Peer(io::Peer peer) : H2Peer(peer, Options()) {}

  // `GET target` of host `app`.
  static WireFields get(std::string_view target, std::string_view method = "GET");
  // Opens the next stream.
  std::uint32_t ask(const WireFields& head, bool ends = true);
  // A server's head, interim, final or trailers.
  void head(std::uint32_t stream, const WireFields& fields, bool ends);
  // Sends as much as the windows allow now, and the rest as they open.
  void data(std::uint32_t stream, std::string_view bytes, bool ends);
  // RST_STREAM; nothing more is sent or expected of it.
  void reset(std::uint32_t stream, std::uint32_t code = wire::kCancel);
  void send(std::string_view bytes) { peer_.write(bytes); }
  // Takes in what has come.
  void step();

  io::Peer& peer() { return peer_; }
  const io::Peer& peer() const { return peer_; }
  Stream& stream(std::uint32_t id) { return streams_[id]; }
  std::map<std::uint32_t, Stream>& streams() { return streams_; }
  const std::vector<GoAway>& goaways() const { return goaways_; }
  const std::map<std::uint16_t, std::uint32_t>& settings() const { return settings_; }
  std::size_t pings_answered() const { return pings_answered_; }
  // Bytes of data that have come, of all streams.
  std::uint64_t data_received() const { return data_received_; }
  // What the other side did wrong; empty if nothing.
  const std::string& complaint() const { return complaint_; }

 private:
  void take(const wire::Frame& frame);
  void take_headers(const wire::Frame& frame);
  void take_data(const wire::Frame& frame);
  void take_settings(const wire::Frame& frame);
  void send_some(std::uint32_t id, Stream& stream);
  void complain(std::string what);

  io::Peer peer_;
  Options options_;
  wire::FrameReader reader_;
  std::unique_ptr<wire::SectionDecoder> decoder_ = std::make_unique<wire::SectionDecoder>();
  std::map<std::uint32_t, Stream> streams_;
  std::map<std::uint16_t, std::uint32_t> settings_;  // the other side's
  std::vector<GoAway> goaways_;
  std::size_t preface_left_ = 0;
  std::string section_;  // until END_HEADERS
  bool section_ends_ = false;
  std::string complaint_;
  std::uint32_t next_stream_ = 1;
  std::int64_t window_ = 65'535;  // of the connection, for what we send
  std::int64_t initial_window_ = 65'535;
  std::size_t pings_answered_ = 0;
  std::uint64_t data_received_ = 0;
};

}  // namespace sluice::proxy

// ClientConnection: one connection from a client: its socket, what comes before the first request
// (PROXY header, TLS handshake, which HTTP it will be), and its end. Between these a
// ClientProtocol has the word.
//
// Owned by its reactor's list; frees itself when the socket is closed.
//
//   accept ─→ proxy header ─→ TLS handshake ─→ choosing ─→ serving ─→ lingering ─→ closing
//               (if from a      (if the          (plain, if   │                      ↑
//                trusted peer)   listener has)    h2 may come) └──────── cut ────────┘
//
// A PROXY header that is missing, malformed or late ends the connection at once. The addresses that
// it tells are the client's from then on, everywhere. One that tells none leaves the peer's own,
// and the peer's word on its clients isn't believed then, trusted proxy or not.
//
// A drain ends a connection on which nothing has begun. One that was in its PROXY header or TLS
// handshake goes on to its first request, as does one that is accepted later still.
//
// lingering: our end goes out behind what is still unsent; what the client still sends is read and
// dropped, so that no reset destroys the response on its way (RFC 9112 §9.6). A client that takes
// nothing of what is unsent for timeouts.stream is cut. Once all is out, the connection is the
// first to give way to a new one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/client_protocol.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/connection_settings.h"
#include "proxy/data/stream.h"
#include "proxy/data/transport.h"
#include "proxy/http/proxy_protocol.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

struct ClientListTag;
struct IdleClientTag;

// "PRI * HTTP/2.0…": what an HTTP/2 client begins with (RFC 9113 §3.4).
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class ClientConnection final : public io::Retired,
                               public base::ListNode<ClientListTag>,
                               public base::ListNode<IdleClientTag>,
                               private Transport::Handler {
 public:
  // After our end has gone out; and for that to go out, where another needs the place.
  static constexpr Duration kLingerTime = std::chrono::seconds(2);

  ClientConnection(ConnectionHost& host, std::shared_ptr<const ConnectionSettings> settings,
                   Service& service);
  ~ClientConnection() override;

  void accept(int fd);
  // The process is leaving: ends now if nothing runs, after what runs otherwise.
  void drain();
  // Ends now, whatever runs.
  void cut();
  // Ends as soon as the client has been told, since another needs its place. Precondition: it is
  // among the host's idle ones.
  void give_way();

  // --- For the protocol ---------------------------------------------------------------------
  ConnectionHost& host() { return host_; }
  const ConnectionSettings& settings() const { return *settings_; }
  Service& service() { return service_; }
  Transport& transport() { return transport_; }
  // Good as long as the connection.
  ClientInfo client_info() const;
  // on_timer() then; one at a time.
  void arm(Duration after);
  void disarm();
  // Nothing runs, and nothing has been begun: once all output is out, the connection may have to
  // give way to a new one.
  void set_idle(bool idle);
  // Ends after its first request, if it has had none.
  bool draining() const { return draining_ || host_.draining(); }
  bool client_ended() const { return ended_; }
  // Counts what goes out.
  void write(Bytes bytes);
  // See Transport::take_back().
  bool take_back(std::size_t bytes);
  // The client has timeouts.stream, from now, to take some of what is unsent: on_timer() then, to
  // ask output_moves(). That begins anew if something was taken, and says false if nothing was.
  void wait_for_output();
  bool output_moves();
  // The protocol is done: it is detached, and freed at the end of the turn.
  void linger();
  void close(io::Socket::Ending ending);

 private:
  enum class State : std::uint8_t {
    proxy_header,
    handshaking,
    choosing,
    serving,
    lingering,
    closing
  };

  // Transport::Handler
  void on_open() override;
  void on_data(Bytes bytes) override;
  void on_end(bool clean) override;
  void on_failure(Transport::Failure failure) override;
  void on_writable() override;
  void on_closed() override;

  admin::ListenerCounters& listener_counters();
  // Returns what follows the header.
  Bytes take_proxy_header(Bytes bytes);
  void refuse_proxy_header();
  void list_as_idle();
  void begin_choosing(Bytes first);
  void choose(Bytes bytes);
  void serve(conf::HttpVersion version, Bytes first);
  void wait_for_client();
  void detach();
  void on_timer();

  ConnectionHost& host_;
  Service& service_;
  std::shared_ptr<const ConnectionSettings> settings_;
  Transport transport_;
  io::Timer timer_;
  std::unique_ptr<ClientProtocol> protocol_;               // while serving
  std::unique_ptr<http::ProxyHeaderParser> proxy_header_;  // from its first byte to its last
  Address peer_;
  Address local_;
  std::string peer_ip_;     // made once, sent with every request
  std::size_t unsent_ = 0;  // when the timer was armed for a client that is to take its output
  State state_ = State::handshaking;
  std::uint8_t preface_bytes_ = 0;  // choosing: so much of kHttp2Preface has come, and nothing else
  bool draining_ = false;
  bool ended_ = false;          // the client sends no more
  bool idle_ = false;           // see set_idle()
  bool gives_way_ = false;      // lingering: until our end is out, and no longer
  bool client_untold_ = false;  // by its PROXY header
};

}  // namespace sluice::proxy

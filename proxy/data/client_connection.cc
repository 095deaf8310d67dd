#include "proxy/data/client_connection.h"

#include <algorithm>
#include <utility>

#include "proxy/data/h1_client.h"
#include "proxy/data/h2_client.h"

namespace sluice::proxy {
namespace {

using admin::Count;

std::unique_ptr<ClientProtocol> make_protocol(ClientConnection& connection,
                                              conf::HttpVersion version) {
  if (version == conf::HttpVersion::http2) return std::make_unique<H2Client>(connection);
  return std::make_unique<H1Client>(connection);
}

}  // namespace

ClientConnection::ClientConnection(ConnectionHost& host,
                                   std::shared_ptr<const ConnectionSettings> settings,
                                   Service& service)
    : host_(host),
      service_(service),
      settings_(std::move(settings)),
      transport_(host.loop(), *this),
      timer_(io::Timer::calling<&ClientConnection::on_timer>(this)) {
}

ClientConnection::~ClientConnection() = default;

admin::ListenerCounters& ClientConnection::listener_counters() {
  return host_.counters().listeners[settings_->listener_slot];
}

void ClientConnection::accept(int fd) {
  peer_ = host_.loop().ring().peer_address(fd);
  local_ = host_.loop().ring().local_address(fd);
  if (peer_.family != Address::Family::unix_path) peer_ip_ = peer_.ip_to_string();
  listener_counters().accepted.add();
  if (settings_->begins_with_proxy_header(peer_)) {
    state_ = State::proxy_header;
    transport_.accept(fd, nullptr);
    arm(settings_->timeouts.request_head);
    return;
  }
  transport_.accept(fd, settings_->tls.get());
  if (settings_->tls) {
    arm(settings_->timeouts.tls_handshake);
  } else {
    begin_choosing({});
  }
}

// Where nothing can be asked yet, what comes next is an idle connection that ends.
void ClientConnection::drain() {
  if (draining_) return;
  draining_ = true;
  if (state_ == State::choosing && preface_bytes_ == 0) linger();
  if (state_ == State::serving) protocol_->drain();
}

void ClientConnection::cut() {
  if (state_ != State::closing) close(io::Socket::Ending::reset);
}

void ClientConnection::give_way() {
  if (state_ == State::lingering) return close(io::Socket::Ending::orderly);
  if (protocol_) protocol_->on_giving_way();
  if (!transport_.is_tls() && transport_.buffered() == 0) return close(io::Socket::Ending::orderly);
  gives_way_ = true;
  linger();
  arm(kLingerTime);
}

ClientInfo ClientConnection::client_info() const {
  const tls::SessionInfo tls = transport_.tls_info();
  return {.peer = peer_,
          .local = local_,
          .peer_ip = peer_ip_,
          .listener = settings_->listener,
          .is_tls = transport_.is_tls(),
          .trusted = !client_untold_ && settings_->trusts(peer_),
          .forwarded = settings_->forwarded,
          .tls_version = tls.version,
          .tls_cipher = tls.cipher,
          .tls = transport_.session(),
          .tls_context = transport_.is_tls() ? settings_->tls.get() : nullptr,
          .stream_buffer_bytes = settings_->limits.stream_buffer_bytes,
          .health_path = settings_->health_path,
          .fd = transport_.fd()};
}

void ClientConnection::arm(Duration after) {
  host_.loop().timers().arm(timer_, host_.loop().now() + after);
}

void ClientConnection::disarm() {
  timer_.cancel();
}

void ClientConnection::set_idle(bool idle) {
  idle_ = idle;
  base::ListNode<IdleClientTag>::unlink();
  if (idle) list_as_idle();
}

// Whoever gives way loses what is unsent: until it is out, the connection isn't listed.
void ClientConnection::list_as_idle() {
  if (transport_.buffered() > 0) {
    transport_.notify_when_below(0);
  } else {
    host_.idle_clients().push_back(*this);
  }
}

void ClientConnection::write(Bytes bytes) {
  host_.counters().add(Count::client_bytes_sent, bytes.size());
  transport_.write(bytes);
}

bool ClientConnection::take_back(std::size_t bytes) {
  if (!transport_.take_back(bytes)) return false;
  // They were counted in this very turn.
  host_.counters().add(Count::client_bytes_sent, std::uint64_t{0} - bytes);
  return true;
}

// --- Before the first request -------------------------------------------------------------------

Bytes ClientConnection::take_proxy_header(Bytes bytes) {
  using Status = http::ProxyHeaderParser::Status;
  if (!proxy_header_) proxy_header_ = std::make_unique<http::ProxyHeaderParser>();
  const auto result = proxy_header_->consume(bytes);
  if (result.status == Status::error) refuse_proxy_header();
  if (result.status != Status::done) return {};
  const auto proxied = std::exchange(proxy_header_, nullptr);
  const http::ProxiedAddresses& addresses = proxied->addresses();
  if (addresses.source.family != Address::Family::none) {
    peer_ = addresses.source;
    local_ = addresses.destination;
    peer_ip_ = peer_.family == Address::Family::unix_path ? "" : peer_.ip_to_string();
  } else {
    client_untold_ = true;
  }
  host_.counters().add(Count::client_bytes_received, result.consumed);
  return bytes.subspan(result.consumed);
}

void ClientConnection::refuse_proxy_header() {
  host_.counters().add(Count::refused_proxy_headers);
  close(io::Socket::Ending::orderly);
}

void ClientConnection::begin_choosing(Bytes first) {
  if (!settings_->http2) return serve(conf::HttpVersion::http1, first);
  if (!settings_->http1) return serve(conf::HttpVersion::http2, first);
  state_ = State::choosing;
  set_idle(true);
  arm(draining() ? settings_->timeouts.request_head : settings_->timeouts.idle);
  if (!first.empty()) choose(first);
}

void ClientConnection::choose(Bytes bytes) {
  const std::string_view wanted = kHttp2Preface.substr(preface_bytes_);
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), wanted.size())));
  if (!wanted.starts_with(text)) return serve(conf::HttpVersion::http1, bytes);
  if (text.size() == wanted.size()) return serve(conf::HttpVersion::http2, bytes);
  if (preface_bytes_ == 0) {
    set_idle(false);
    arm(settings_->timeouts.request_head);
  }
  preface_bytes_ += static_cast<std::uint8_t>(text.size());
}

// `first` has come already, and preface_bytes_ before it.
void ClientConnection::serve(conf::HttpVersion version, Bytes first) {
  state_ = State::serving;
  set_idle(false);
  protocol_ = make_protocol(*this, version);
  // What is left of the protocol when it is done takes further bytes and drops them.
  if (preface_bytes_ > 0) protocol_->on_data(as_bytes(kHttp2Preface.substr(0, preface_bytes_)));
  if (protocol_ && !first.empty()) protocol_->on_data(first);
}

// --- From the socket ----------------------------------------------------------------------------

void ClientConnection::on_open() {
  listener_counters().tls_handshakes.add();
  const tls::SessionInfo tls = transport_.tls_info();
  if (tls.resumed) listener_counters().tls_resumed.add();
  const bool wants_http2 = tls.alpn == "h2";
  // A client that offers nothing by ALPN speaks HTTP/1 (RFC 9113 §3.2).
  if (!wants_http2 && !settings_->http1) return linger();
  serve(wants_http2 ? conf::HttpVersion::http2 : conf::HttpVersion::http1, {});
}

void ClientConnection::on_data(Bytes bytes) {
  if (state_ == State::proxy_header) {
    const Bytes rest = take_proxy_header(bytes);
    if (proxy_header_ || state_ != State::proxy_header) return;
    if (!settings_->tls) {
      host_.counters().add(Count::client_bytes_received, rest.size());
      return begin_choosing(rest);
    }
    state_ = State::handshaking;
    arm(settings_->timeouts.tls_handshake);
    transport_.start_tls(*settings_->tls, rest);
    return;
  }
  host_.counters().add(Count::client_bytes_received, bytes.size());
  if (state_ == State::choosing) {
    choose(bytes);
  } else if (state_ == State::serving) {
    protocol_->on_data(bytes);
  }
}

void ClientConnection::on_end(bool clean) {
  ended_ = true;
  switch (state_) {
    case State::handshaking:
      listener_counters().tls_failed.add();
      close(io::Socket::Ending::orderly);
      break;
    case State::proxy_header:
      // One that says nothing at all asks whether we are there.
      if (proxy_header_) host_.counters().add(Count::refused_proxy_headers);
      close(io::Socket::Ending::orderly);
      break;
    case State::choosing:
      close(io::Socket::Ending::orderly);
      break;
    case State::serving:
      protocol_->on_end(clean);
      break;
    case State::lingering:
      if (transport_.buffered() == 0) close(io::Socket::Ending::orderly);
      break;
    case State::closing:
      break;
  }
}

void ClientConnection::on_failure(Transport::Failure failure) {
  if (state_ == State::closing) return;
  if (failure == Transport::Failure::tls) {
    if (state_ == State::handshaking) listener_counters().tls_failed.add();
    linger();  // the alert goes out first
    return;
  }
  close(io::Socket::Ending::orderly);
}

void ClientConnection::on_writable() {
  if (state_ == State::serving) {
    protocol_->on_writable();
    if (idle_ && !base::ListNode<IdleClientTag>::linked()) list_as_idle();
  } else if (state_ == State::lingering) {
    if (ended_ || gives_way_) {
      close(io::Socket::Ending::orderly);
    } else {
      wait_for_client();
    }
  }
}

void ClientConnection::on_closed() {
  listener_counters().closed.add();
  timer_.cancel();
  base::ListNode<ClientListTag>::unlink();
  host_.client_closed();
  host_.loop().retire(std::unique_ptr<io::Retired>(this));
}

// --- The end ------------------------------------------------------------------------------------

void ClientConnection::linger() {
  if (state_ == State::lingering || state_ == State::closing) return;
  state_ = State::lingering;
  detach();
  transport_.finish();
  transport_.resume();
  transport_.notify_when_below(0);
  if (transport_.buffered() > 0) {
    wait_for_output();
  } else if (ended_ && !transport_.is_tls()) {
    close(io::Socket::Ending::orderly);
  } else if (transport_.is_tls()) {
    arm(kLingerTime);  // a close_notify is still on its way
  } else {
    wait_for_client();
  }
}

// All that we had to say has left: who needs the place may have it.
void ClientConnection::wait_for_client() {
  arm(kLingerTime);
  if (!base::ListNode<IdleClientTag>::linked()) host_.idle_clients().push_front(*this);
}

void ClientConnection::close(io::Socket::Ending ending) {
  if (state_ == State::closing) return;
  state_ = State::closing;
  detach();
  timer_.cancel();
  transport_.terminate(ending);
}

void ClientConnection::detach() {
  set_idle(false);
  if (!protocol_) return;
  const auto protocol = protocol_.get();
  host_.loop().retire(std::move(protocol_));
  protocol->on_detached();
}

void ClientConnection::wait_for_output() {
  unsent_ = transport_.buffered();
  arm(settings_->timeouts.stream);
}

bool ClientConnection::output_moves() {
  if (transport_.buffered() >= unsent_) return false;
  wait_for_output();
  return true;
}

void ClientConnection::on_timer() {
  switch (state_) {
    case State::handshaking:
      host_.counters().add(Count::timeout_tls_handshake);
      listener_counters().tls_failed.add();
      close(io::Socket::Ending::orderly);
      break;
    case State::choosing:
      if (preface_bytes_ == 0) return linger();
      // Slow, whichever it was to be: HTTP/1 has an answer to that.
      serve(conf::HttpVersion::http1, {});
      if (protocol_) protocol_->on_timer();
      break;
    case State::serving:
      protocol_->on_timer();
      break;
    case State::lingering:
      if (transport_.buffered() == 0 || gives_way_) {
        close(io::Socket::Ending::orderly);
      } else if (!output_moves()) {
        host_.counters().add(Count::timeout_stream);
        close(io::Socket::Ending::reset);
      }
      break;
    case State::proxy_header:
      host_.counters().add(Count::timeout_request_head);
      refuse_proxy_header();
      break;
    case State::closing:
      break;
  }
}

}  // namespace sluice::proxy

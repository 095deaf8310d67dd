#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {

// --- ServerEnd ----------------------------------------------------------------------------------

std::string ServerEnd::take() {
  std::string bytes = peer.take();
  if (!session_) return bytes;
  if (session_->receive(as_bytes(bytes), *this) == tls::Session::Status::closed) clean_ = true;
  if (session_->handshake_done() && !unsent_.empty()) write(std::exchange(unsent_, {}));
  return std::exchange(plain_, {});
}

void ServerEnd::write(std::string_view bytes) {
  if (!session_) {
    peer.write(bytes);
  } else if (session_->handshake_done()) {
    session_->send(as_bytes(bytes), *this);
  } else {
    unsent_ += bytes;
  }
}

// --- ScriptedH2Server ---------------------------------------------------------------------------

void ScriptedH2Server::Request::respond(int status, std::string_view text, bool end) {
  SLUICE_CHECK(stream != nullptr);
  h2::Section section;
  section.append(":status", std::to_string(status));
  stream->send_response(section, end && text.empty());
  if (!text.empty()) stream->send_data(as_bytes(text));
  if (end && !text.empty()) stream->send_end({});
}

ScriptedH2Server::Connection::Connection(io::Peer with, std::uint32_t streams_max,
                                         const tls::ServerContext* tls)
    : end(with, tls),
      session({.role = h2::Options::Role::server,
               .scheme = tls ? "https" : "http",
               .head_limits = {},
               .streams_max = streams_max,
               .stream_window_bytes = 65'535,
               .connection_window_bytes = 1024 * 1024,
               .budget = {}},
              static_cast<h2::SessionHandler&>(*this)) {
}

void ScriptedH2Server::Connection::step(TimePoint now) {
  const std::string bytes = end.take();
  if (!bytes.empty() && !session.receive(as_bytes(bytes), now)) broken = true;
  session.flush(*this);
  session.deliver();
  session.flush(*this);
}

h2::StreamHandler* ScriptedH2Server::Connection::on_request(h2::Stream& stream,
                                                            http::RequestHead&& head,
                                                            bool complete) {
  Request& request = requests.emplace_back();
  request.stream = &stream;
  request.head = std::move(head);
  request.ended = complete;
  return &request;
}

void ScriptedH2Server::Connection::on_refused_request(h2::Stream&, const http::RequestHead&,
                                                      const http::ParseError& error) {
  refused = error.reason;
}

void ScriptedH2Server::step() {
  while (const auto peer = network_.accept(address_)) {
    connections_.push_back(std::make_unique<Connection>(*peer, streams_max, tls.get()));
  }
  if (silent) return;
  for (const auto& connection : connections_) connection->step(network_.now());
}

// --- BackendTest --------------------------------------------------------------------------------

BackendTest::BackendTest() {
  network_.hold_time(true);
}

BackendTest::~BackendTest() {
  for (Asker& asker : askers_) {
    if (!asker.over && asker.stream) asker.stream->cancel();
  }
  if (pool_) pool_->keep_idle(false);
  network_.hold_time(false);
  for (int i = 0; i < 1000 && host_.loop_.attached() > 0; ++i) {
    host_.loop_.turn(host_.loop_.now() + std::chrono::seconds(1));
  }
  EXPECT_EQ(network_.check_clean(), "");
}

void BackendTest::make(conf::HttpVersion protocol) {
  make(ServerSettings{.protocol = protocol, .tls = nullptr, .server_name = {}});
}

void BackendTest::make(const ServerSettings& settings) {
  pool_ = make_pool(host_, address_, std::make_shared<const ServerSettings>(settings));
}

std::shared_ptr<const tls::ClientContext> BackendTest::client_tls(const std::string& alpn) const {
  tls::ClientOptions options;
  options.trust_anchors_pem = certificate_.certificate_pem;
  options.alpn = {alpn};
  return tls::ClientContext::make(options).value();
}

std::shared_ptr<const tls::ServerContext> BackendTest::server_tls(const std::string& alpn) const {
  tls::ServerOptions options;
  options.certificate_pem = certificate_.certificate_pem;
  options.key_pem = certificate_.key_pem;
  options.alpn = {alpn};
  return tls::ServerContext::make(options, ticket_keys_).value();
}

void BackendTest::turn(int times) {
  for (int i = 0; i < times; ++i) host_.loop_.turn(host_.loop_.now());
}

void BackendTest::pass(Duration time) {
  network_.advance(time);
  turn(2);
}

http::RequestHead BackendTest::request(std::string_view method, bool complete) const {
  http::RequestHead head;
  head.method_text = method;
  head.method = http::method_from(method);
  head.scheme = "http";
  head.authority = "app";
  head.target = "/x";
  head.body.kind = complete ? http::BodyLength::Kind::none : http::BodyLength::Kind::chunked;
  return head;
}

Asker& BackendTest::ask(std::string_view method, bool complete, BackendPool::Reuse reuse) {
  Asker& asker = askers_.emplace_back();
  const auto lease = pool_->lease(asker, {.reuse = reuse});
  asker.stream = lease.stream;
  refusal_ = lease.refusal;
  if (!lease.stream) {
    asker.over = true;
    return asker;
  }
  if (lease.connected) asker.log += "at once; ";
  const http::ForwardContext context{.client_address = "10.1.1.1", .request_id = "id"};
  lease.stream->send_head(request(method, complete), &context);
  if (complete) lease.stream->send_end({});
  return asker;
}

Asker& BackendTest::ask_within(Duration connect_timeout) {
  Asker& asker = askers_.emplace_back();
  const auto lease = pool_->lease(asker, {.connect_timeout = connect_timeout});
  asker.stream = lease.stream;
  lease.stream->send_head(request("GET", true), nullptr);
  lease.stream->send_end({});
  return asker;
}

Asker& BackendTest::ask_for_tunnel(http::RequestHead head) {
  head.body.kind = http::BodyLength::Kind::tunnel;
  Asker& asker = askers_.emplace_back();
  const auto lease = pool_->lease(asker, {.tunnel = true});
  asker.stream = lease.stream;
  if (lease.connected) asker.log += "at once; ";
  const http::ForwardContext context{.client_address = "10.1.1.1", .request_id = "id"};
  lease.stream->send_head(head, &context);
  return asker;
}

}  // namespace sluice::proxy

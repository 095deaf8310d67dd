#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {

// --- ScriptedH2Server ----------------------------------------------------------------------------

void ScriptedH2Server::Request::respond(int status, std::string_view text, bool end) {
  SLUICE_CHECK(stream != nullptr);
  h2::Section section;
  section.append(":status", std::to_string(status));
  stream->send_response(section, end && text.empty());
  if (!text.empty()) stream->send_data(as_bytes(text));
  if (end && !text.empty()) stream->send_end({});
}

ScriptedH2Server::Connection::Connection(io::Peer with, std::uint32_t streams_max)
    : peer(with),
      session({.role = h2::Options::Role::server,
               .scheme = "http",
               .head_limits = {},
               .streams_max = streams_max,
               .stream_window_bytes = 65'535,
               .connection_window_bytes = 1024 * 1024,
               .budget = {}},
              static_cast<h2::SessionHandler&>(*this)) {
}

void ScriptedH2Server::Connection::step(TimePoint now) {
  const std::string bytes = peer.take();
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
    connections_.push_back(std::make_unique<Connection>(*peer, streams_max));
  }
  if (silent) return;
  for (const auto& connection : connections_) connection->step(network_.now());
}

// --- BackendTest ---------------------------------------------------------------------------------

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
  auto settings = std::make_shared<ServerSettings>();
  settings->protocol = protocol;
  pool_ = make_pool(host_, address_, std::move(settings));
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

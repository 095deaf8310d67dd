// The HTTP/2 clients and origins of a simulation.
#include <algorithm>

#include "tests/proxy/simulation.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kNoLast = 0x7fff'ffff;  // as GOAWAY says it

SimpleMessage message_of(const H2Peer::Stream& stream) {
  SimpleMessage message;
  message.start_line = "HTTP/1.1 " + stream.status();
  for (const auto& [name, value] : stream.head.lines) message.fields.emplace_back(name, value);
  message.body = stream.body;
  return message;
}

}  // namespace

// --- Clients ------------------------------------------------------------------------------------

void Simulation::step_http2_client(Http2Client& client) {
  if (client.done) return;
  if (++client.turns == client.abort_at_turn) {
    client.peer.peer().reset();
    client.done = true;
    return;
  }
  client.peer.step();
  if (!client.peer.complaint().empty()) fail("to a client: " + client.peer.complaint());
  take_answers(client);
  const io::Peer& peer = client.peer.peer();
  const bool ended = peer.saw_end() || peer.saw_reset();
  if (ended && plan_.reset == 0) fail("an HTTP/2 connection ended by itself");
  if (ended || client.answered == options_.requests_per_client) {
    responses_cut_ += client.waiting.size();
    client.peer.peer().close();
    client.done = true;
    return;
  }
  const std::size_t together = chance_.between(1, 5);
  while (client.sent < options_.requests_per_client && client.waiting.size() < together) {
    send_next(client);
  }
}

void Simulation::take_answers(Http2Client& client) {
  for (auto at = client.waiting.begin(); at != client.waiting.end();) {
    const auto& [id, asked] = *at;
    const H2Peer::Stream& stream = client.peer.stream(id);
    if (stream.ended) {
      check_response(asked, message_of(stream));
    } else if (stream.reset) {
      if (!may_break()) fail("a stream was reset: " + wire::code_name(*stream.reset));
      ++responses_cut_;
    } else if (turns_ == options_.client_streams_reset_at ||
               (options_.client_aborts && chance_.happens(0.003))) {
      client.peer.reset(id);
      ++responses_cut_;
    } else {
      ++at;
      continue;
    }
    ++client.answered;
    at = client.waiting.erase(at);
  }
}

void Simulation::send_next(Http2Client& client) {
  Asked asked = next_request();
  WireFields head = H2Peer::get(asked.wish.target(), asked.method);
  const bool has_body = asked.method == "POST" || asked.method == "PUT";
  if (has_body && chance_.happens(0.5)) {
    head.add("content-length", std::to_string(asked.body.size()));
  }
  const std::uint32_t id = client.peer.ask(head, !has_body);
  for (std::size_t at = 0; at < asked.body.size();) {
    const std::size_t part = std::min(chance_.between(1, 9000), asked.body.size() - at);
    client.peer.data(id, std::string_view(asked.body).substr(at, part), false);
    at += part;
  }
  if (has_body) client.peer.data(id, "", true);
  client.waiting.emplace(id, std::move(asked));
  ++client.sent;
}

// --- Origins ------------------------------------------------------------------------------------

void Simulation::step_http2_origins() {
  for (const Address& address : origin_addresses_) {
    while (auto peer = network_.accept(address)) {
      http2_origins_.push_back(
          std::make_unique<Http2Origin>(H2Peer(*peer, {.is_server = true, .settings = {}})));
    }
  }
  for (const auto& connection : http2_origins_) {
    H2Peer& peer = connection->peer;
    peer.step();
    if (!peer.complaint().empty()) fail("to an origin: " + peer.complaint());
    if (server_resets_now()) {
      peer.peer().reset();
      connection->over = true;
      continue;
    }
    if (turns_ == options_.server_streams_reset_at) reset_streams(*connection);
    for (const auto& [id, stream] : peer.streams()) {
      if (id > connection->last || !stream.ended || !connection->answered.insert(id).second) {
        continue;
      }
      answer(*connection, id);
    }
    if (peer.peer().saw_end() || peer.peer().saw_reset()) {
      peer.peer().close();
      connection->over = true;
    }
  }
  std::erase_if(http2_origins_, [](const auto& connection) { return connection->over; });
}

void Simulation::reset_streams(Http2Origin& connection) {
  for (auto& [id, stream] : connection.peer.streams()) {
    const bool answered = !connection.answered.insert(id).second;
    if (answered && stream.unsent.empty()) continue;
    connection.peer.reset(id, wire::kInternalError);
  }
}

void Simulation::answer(Http2Origin& connection, std::uint32_t id) {
  ++requests_at_origins_;
  H2Peer& peer = connection.peer;
  const H2Peer::Stream& request = peer.stream(id);
  if (options_.server_aborts && chance_.happens(0.05)) {
    peer.reset(id, wire::kRefusedStream);
    return;
  }
  const std::string method = request.head.get(":method").value_or("");
  const Wish wish = Wish::from_target(request.head.get(":path").value_or(""));
  std::string body = method == "HEAD" ? "" : wish.body();
  WireFields head;
  head.add(":status", "200");
  head.add("x-method", method);
  head.add("x-body-bytes", std::to_string(request.body.size()));
  head.add("x-body-hash", std::to_string(std::hash<std::string>{}(request.body)));
  if (wish.kind == Wish::Kind::length) {
    head.add("content-length", std::to_string(wish.bytes));
  }
  if (wish.kind == Wish::Kind::close && connection.last == kNoLast) end_soon(connection);
  const bool breaks = options_.server_aborts && chance_.happens(0.1);
  if (breaks) body.resize(chance_.between(0, body.size()));
  peer.head(id, head, body.empty() && !breaks);
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t part = std::min(chance_.between(1, 7000), body.size() - at);
    peer.data(id, std::string_view(body).substr(at, part), !breaks && at + part == body.size());
    at += part;
  }
  if (breaks) peer.reset(id, wire::kInternalError);
}

// GOAWAY: politely, with time for what is on its way, or at once.
void Simulation::end_soon(Http2Origin& connection) {
  const bool politely = !options_.server_aborts || chance_.happens(0.5);
  std::uint32_t highest = 0;
  for (const auto& [id, stream] : connection.peer.streams()) highest = std::max(highest, id);
  connection.last = politely ? kNoLast - 1 : highest;
  connection.peer.send(wire::go_away(politely ? kNoLast : highest, wire::kNoError));
}

}  // namespace sluice::proxy

#include "tests/h2/endpoint.h"

#include "proxy/base/check.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;

std::string tell(const http::BodyLength& body) {
  switch (body.kind) {
    case http::BodyLength::Kind::none:
      return "none";
    case http::BodyLength::Kind::known:
      return std::to_string(body.bytes);
    case http::BodyLength::Kind::chunked:
      return "open";
    case http::BodyLength::Kind::until_close:
      return "until close";
    case http::BodyLength::Kind::tunnel:
      return "tunnel";
  }
  return "?";
}

std::string tell_fields(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields.lines) out += " [" + name + "|" + value + "]";
  return out;
}

}  // namespace

Fields fields_of(const Pairs& pairs) {
  Fields fields;
  for (const auto& [name, value] : pairs) fields.add(name, value);
  return fields;
}

Fields request_with(const Pairs& more, std::string method) {
  Fields fields = get_request();
  fields.lines[0].second = std::move(method);
  for (const auto& [name, value] : more) fields.add(name, value);
  return fields;
}

std::string get(std::uint32_t stream, const Pairs& more) {
  return harness::h2::headers(stream, request_with(more), true);
}

std::string post(std::uint32_t stream, const Pairs& more) {
  return harness::h2::headers(stream, request_with(more, "POST"), false);
}

Section section_of(const Pairs& pairs) {
  Section section;
  for (const auto& [name, value] : pairs) section.append(name, value);
  return section;
}

Fields get_request(std::string_view path) {
  return fields_of({{":method", "GET"},
                    {":scheme", "https"},
                    {":authority", "h"},
                    {":path", std::string(path)}});
}

std::string tell(const http::Fields& fields) {
  std::string out;
  for (const http::Field field : fields) {
    out.append("[").append(field.name).append("|").append(field.value).append("]");
  }
  return out;
}

std::string tell(const http::RequestHead& head) {
  std::string out =
      head.method_text + " " + head.target + " at '" + head.authority + "' body " + tell(head.body);
  if (!head.protocol.empty()) out += " to " + head.protocol;
  if (head.expects_continue) out += " expects";
  return out + " " + tell(head.fields);
}

std::string tell(const http::ResponseHead& head) {
  return std::to_string(head.status) + " body " + tell(head.body) + " " + tell(head.fields);
}

// --- Heard --------------------------------------------------------------------------------------

void Endpoint::Heard::on_response_head(http::ResponseHead& response, bool complete) {
  head = tell(response);
  ended = complete && !response.is_interim();
  owner->note("response " + std::to_string(id) + " " + head + (complete ? " complete" : ""));
  if (owner->during) owner->during(*this, "head");
}

void Endpoint::Heard::on_data(Bytes bytes) {
  SLUICE_CHECK(!ended && closed.empty());
  body += as_text(bytes);
  owner->note_data(id, as_text(bytes));
  if (owner->during) owner->during(*this, "data");
}

void Endpoint::Heard::on_end(const http::Fields& trailers) {
  SLUICE_CHECK(!ended && closed.empty());
  ended = true;
  owner->note("end " + std::to_string(id) + (trailers.empty() ? "" : " " + tell(trailers)));
  if (owner->during) owner->during(*this, "end");
}

void Endpoint::Heard::on_writable() {
  ++writable;
  if (owner->during) owner->during(*this, "writable");
}

void Endpoint::Heard::on_closed(const Reset* reset) {
  SLUICE_CHECK(closed.empty());
  closed = "whole";
  if (reset) {
    closed = wire::code_name(static_cast<std::uint32_t>(reset->code));
    closed += reset->by_peer ? " by peer" : " by us";
    if (reset->unprocessed) closed += " unprocessed";
    if (!reset->reason.empty()) closed.append(": ").append(reset->reason);
  }
  stream = nullptr;
  owner->note("closed " + std::to_string(id) + " " + closed);
  if (owner->during) owner->during(*this, "closed");
}

// --- Endpoint -----------------------------------------------------------------------------------

Endpoint::Endpoint(Options options) : session(options, *this) {
}

Options Endpoint::server_options() {
  return {.role = Options::Role::server, .scheme = "https"};
}

Options Endpoint::client_options() {
  return {.role = Options::Role::client, .scheme = "http"};
}

bool Endpoint::receive(std::string_view bytes) {
  return session.receive(as_bytes(bytes), now);
}

bool Endpoint::take(std::string_view bytes) {
  const bool good = receive(bytes);
  settle();
  return good && !session.failed();
}

void Endpoint::settle() {
  for (int turns = 0; turns < 1000; ++turns) {
    if (session.wants_flush() && has_room()) session.flush(*this);
    if (!session.has_news()) break;
    session.deliver();
  }
}

void Endpoint::greet(const wire::Settings& settings) {
  const bool is_server = !session.streams_available();
  std::string hello = is_server ? std::string(wire::kPreface) : std::string();
  hello += wire::settings(settings);
  SLUICE_CHECK(take(hello));
  SLUICE_CHECK(take(wire::frame(wire::kSettings, wire::kAck, 0)));
  out_.clear();
  events_.clear();
}

std::string Endpoint::raw_frames() {
  return std::exchange(out_, {});
}

std::vector<std::string> Endpoint::frames() {
  wire::FrameReader reader;
  reader.add(std::exchange(out_, {}));
  std::vector<std::string> told;
  while (const auto frame = reader.next()) {
    const std::string id = std::to_string(frame->stream);
    const std::string end = (frame->flags & wire::kEndStream) != 0 ? " end" : "";
    switch (frame->type) {
      case wire::kHeaders:
      case wire::kContinuation: {
        section_ += frame->payload;
        if ((frame->flags & wire::kEndHeaders) == 0) break;
        const auto fields = decoder_.decode(std::exchange(section_, {}));
        SLUICE_CHECK(fields.has_value());
        told.push_back("HEADERS " + id + tell_fields(*fields) +
                       (frame->type == wire::kHeaders ? end : ""));
        break;
      }
      case wire::kData:
        told.push_back("DATA " + id + " '" + frame->payload + "'" + end);
        break;
      case wire::kResetStream:
        told.push_back("RST_STREAM " + id + " " + wire::code_name(wire::number_at(frame->payload)));
        break;
      case wire::kGoAway:
        told.push_back("GOAWAY " + std::to_string(wire::number_at(frame->payload)) + " " +
                       wire::code_name(wire::number_at(frame->payload, 4)));
        break;
      case wire::kWindowUpdate:
        told.push_back("WINDOW_UPDATE " + id + " " +
                       std::to_string(wire::number_at(frame->payload)));
        break;
      case wire::kSettings:
        told.push_back(end.empty() ? "SETTINGS" : "SETTINGS ack");
        break;
      case wire::kPing:
        told.push_back(end.empty() ? "PING" : "PING ack");
        break;
      default:
        told.push_back("frame of type " + std::to_string(frame->type));
        break;
    }
  }
  return told;
}

std::string Endpoint::events() {
  std::string joined;
  for (const std::string& event : std::exchange(events_, {})) {
    if (!joined.empty()) joined += '\n';
    joined += event;
  }
  return joined;
}

void Endpoint::note_data(std::int32_t id, std::string_view bytes) {
  if (!keep_events) return;
  const std::string prefix = "data " + std::to_string(id) + " ";
  if (events_.empty() || !events_.back().starts_with(prefix)) events_.push_back(prefix);
  events_.back().append(bytes);
}

Endpoint::Heard& Endpoint::hear(Stream& stream) {
  auto& heard = heard_[stream.id()];
  heard = std::make_unique<Heard>();
  heard->owner = this;
  heard->stream = &stream;
  heard->id = stream.id();
  return *heard;
}

Endpoint::Heard& Endpoint::stream(std::int32_t id) {
  const auto found = heard_.find(id);
  SLUICE_CHECK(found != heard_.end());
  return *found->second;
}

Endpoint::Heard& Endpoint::ask(const std::vector<std::pair<std::string, std::string>>& fields,
                               bool end) {
  asked_.push_back(std::make_unique<Heard>());
  Heard& heard = *asked_.back();
  heard.owner = this;
  Stream& opened = session.open(heard);
  heard.stream = &opened;
  opened.send_request(section_of(fields), end);
  heard.id = opened.id();
  return heard;
}

void Endpoint::answer(std::int32_t id, std::string_view body, std::string_view status) {
  Stream* const to = stream(id).stream;
  SLUICE_CHECK(to != nullptr);
  to->send_response(section_of({{":status", std::string(status)}}), body.empty());
  if (body.empty()) return;
  to->send_data(as_bytes(body));
  to->send_end({});
}

void Endpoint::write(Bytes bytes) {
  out_ += as_text(bytes);
  written += bytes.size();
}

StreamHandler* Endpoint::on_request(Stream& stream, http::RequestHead&& head, bool complete) {
  Heard& heard = hear(stream);
  heard.head = tell(head);
  heard.ended = complete;
  if (keep_events) {
    note("request " + std::to_string(heard.id) + " " + heard.head + (complete ? " complete" : ""));
  }
  if (during) during(heard, "request");
  return &heard;
}

void Endpoint::on_refused_request(Stream& stream, const http::RequestHead& head,
                                  const http::ParseError& error) {
  if (keep_events) {
    note("refused " + std::to_string(stream.id()) + " " + head.method_text + " " + head.target +
         " " + std::to_string(error.status) + " " + error.reason);
  }
  if (error.status < 400 || !answer_refused) return;
  stream.send_response(section_of({{":status", std::to_string(error.status)}}), true);
}

}  // namespace sluice::h2

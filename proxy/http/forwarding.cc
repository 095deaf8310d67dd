#include "proxy/http/forwarding.h"

#include <charconv>

#include "proxy/base/check.h"
#include "proxy/http/connection_options.h"
#include "proxy/http/field_rules.h"
#include "proxy/http/h1_writer.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

// Room for what is added to a head besides its own fields.
constexpr std::size_t kAddedBytes = 512;
constexpr std::size_t kDecimalBytesMax = 20;

bool belongs_to_one_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_authenticate:
    case FieldId::proxy_authorization:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

ConnectionOptions options_of(const Fields& fields) {
  ConnectionOptions options;
  SLUICE_CHECK(options.read(fields) == nullptr);  // the parsers have refused what isn't readable
  return options;
}

void reserve_for(std::string& out, const Fields& fields) {
  constexpr std::size_t kPerField = std::string_view(": \r\n").size();
  out.reserve(out.size() + fields.text_bytes() + fields.size() * kPerField + kAddedBytes);
}

bool wants_trailers(const Fields& fields) {
  bool wanted = false;
  if (!fields.has(FieldId::te)) return wanted;
  for (const Field field : fields) {
    if (field.id != FieldId::te) continue;
    for_each_list_element(field.value, [&](std::string_view coding) {
      wanted = wanted || equals_ignoring_case(coding, "trailers");
    });
  }
  return wanted;
}

// Where fields go. Both sinks take a value whole, or as pieces between begin() and end().
class H1Sink {
 public:
  static constexpr Version kVersion = Version::http_1_1;

  explicit H1Sink(std::string& out) : out_(out) {}
  void field(std::string_view name, std::string_view value, FieldId, bool = false) {
    write_field(out_, name, value);
  }
  void begin(std::string_view name) {
    out_.append(name).append(": ");
    value_at_ = out_.size();
  }
  void add(std::string_view piece) { out_ += piece; }
  void end() {
    SLUICE_CHECK(is_field_value(std::string_view(out_).substr(value_at_)));
    out_ += "\r\n";
  }
  void framing(BodyLength body) { write_framing(out_, body); }

 private:
  std::string& out_;
  std::size_t value_at_ = 0;
};

class H2Sink {
 public:
  static constexpr Version kVersion = Version::http_2;

  explicit H2Sink(Fields& out) : out_(out) {}
  void field(std::string_view name, std::string_view value, FieldId id,
             bool never_indexed = false) {
    out_.append_lower({name, value, id, never_indexed});
  }
  void begin(std::string_view name) {
    name_ = name;
    value_.clear();
  }
  void add(std::string_view piece) { value_ += piece; }
  void end() { field(name_, value_, field_id(name_)); }
  void framing(BodyLength body) {
    if (body.kind != BodyLength::Kind::known) return;
    char digits[kDecimalBytesMax];
    const auto last = std::to_chars(digits, digits + sizeof digits, body.bytes).ptr;
    field("content-length", {digits, last}, FieldId::content_length);
  }

 private:
  Fields& out_;
  std::string_view name_;
  std::string value_;
};

// RFC 9110 §7.6.3, behind any Via that is there: a list may be several lines.
template <typename Sink>
void put_via(Sink& sink, Version received) {
  sink.begin("Via");
  sink.add(received == Version::http_1_0 ? "1.0 " : received == Version::http_1_1 ? "1.1 " : "2 ");
  sink.add(kProxyName);
  sink.end();
}

// RFC 7239 §6: an IPv6 address is quoted and in brackets.
template <typename Sink>
void put_node(Sink& sink, std::string_view address) {
  const bool ipv6 = address.find(':') != std::string_view::npos;
  sink.add(ipv6 ? "\"[" : "");
  sink.add(address.empty() ? "unknown" : address);
  sink.add(ipv6 ? "]\"" : "");
}

// RFC 7239 §4, of the hop from the client to Sluice.
template <typename Sink>
void put_forwarded_element(Sink& sink, const RequestHead& head, const ForwardContext& context) {
  if (!context.local_address.empty()) {
    sink.add("by=");
    put_node(sink, context.local_address);
    sink.add(";");
  }
  sink.add("for=");
  put_node(sink, context.client_address);
  if (!head.authority.empty()) {
    sink.add(";host=\"");
    sink.add(head.authority);
    sink.add("\"");
  }
  sink.add(";proto=");
  sink.add(context.client_scheme);
}

// What is appended to it would become part of a quoted string.
bool has_open_quote(std::string_view value) {
  bool open = false;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (value[at] == '"') open = !open;
    if (value[at] == '\\' && open) ++at;
  }
  return open;
}

// An address without port, as X-Forwarded-For has it, that may stand in a quoted string.
bool is_node(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF.:") == text.npos;
}

// The hops before a trusted peer. One that tells them by X-Forwarded-For alone is understood
// (RFC 7239 §7.4), lest the peer itself be taken for the client.
template <typename Sink>
void put_earlier_hops(Sink& sink, const Fields& fields) {
  const bool told = fields.has(FieldId::forwarded);
  const FieldId id = told ? FieldId::forwarded : FieldId::x_forwarded_for;
  if (!fields.has(id)) return;
  for (const Field field : fields) {
    if (field.id != id || field.value.empty()) continue;
    if (told) {
      if (has_open_quote(field.value)) continue;
      sink.add(field.value);
      sink.add(", ");
      continue;
    }
    for_each_list_element(field.value, [&](std::string_view address) {
      sink.add("for=");
      put_node(sink, is_node(address) ? address : "");
      sink.add(", ");
    });
  }
}

template <typename Sink>
void put_x_forwarded(Sink& sink, const RequestHead& head, const ForwardContext& context) {
  const bool trusted = context.client_trusted;
  if (!context.client_address.empty()) {
    sink.begin("X-Forwarded-For");
    if (trusted && head.fields.has(FieldId::x_forwarded_for)) {
      for (const Field field : head.fields) {
        if (field.id != FieldId::x_forwarded_for || field.value.empty()) continue;
        sink.add(field.value);
        sink.add(", ");
      }
    }
    sink.add(context.client_address);
    sink.end();
  }
  if (!trusted || !head.fields.has(FieldId::x_forwarded_proto)) {
    sink.field("X-Forwarded-Proto", context.client_scheme, FieldId::x_forwarded_proto);
  }
  if (!head.authority.empty() && (!trusted || !head.fields.has(FieldId::x_forwarded_host))) {
    sink.field("X-Forwarded-Host", head.authority, FieldId::x_forwarded_host);
  }
}

// Says where the request came from; the client's own word counts only if it is trusted.
template <typename Sink>
void put_origin(Sink& sink, const RequestHead& head, const ForwardContext& context) {
  if (context.forwarded != ForwardedFields::forwarded) put_x_forwarded(sink, head, context);
  if (context.forwarded == ForwardedFields::x_forwarded) return;
  sink.begin("Forwarded");
  if (context.client_trusted) put_earlier_hops(sink, head.fields);
  put_forwarded_element(sink, head, context);
  sink.end();
}

bool may_have_trailers(Version version, BodyLength body) {
  if (body.kind == BodyLength::Kind::known) return version == Version::http_2;
  return body.kind == BodyLength::Kind::chunked;
}

bool keeps_x_forwarded(const ForwardContext& context) {
  return context.client_trusted && context.forwarded != ForwardedFields::forwarded;
}

// Of a request's fields, those that go to the server as they came.
bool passes_to_server(FieldId id, Version to, const ForwardContext& context, BodyLength framing) {
  switch (id) {
    case FieldId::content_length:
    case FieldId::expect:
    case FieldId::forwarded:
    case FieldId::host:
    case FieldId::x_request_id:
      return false;
    case FieldId::x_forwarded_for:
      // With an address to append, all of them become one field.
      return keeps_x_forwarded(context) && context.client_address.empty();
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_proto:
      return keeps_x_forwarded(context);
    case FieldId::sec_websocket_key:
      return to != Version::http_2 && context.websocket_key.empty();  // RFC 8441 §5
    case FieldId::trailer:
      return may_have_trailers(to, framing);
    default:
      return !belongs_to_one_hop(id);
  }
}

// What HTTP/1 and HTTP/2 have in common.
template <typename Sink>
void put_request_fields(Sink& sink, const RequestHead& head, const ForwardContext& context,
                        BodyLength framing) {
  const ConnectionOptions options = options_of(head.fields);
  for (const Field field : head.fields) {
    if (!passes_to_server(field.id, Sink::kVersion, context, framing)) continue;
    if (field.id == FieldId::other) {
      if (options.names(field.name)) continue;
      if (!context.client_trusted && tells_of_client(field.name)) continue;
    }
    if (field.id == FieldId::max_forwards && head.method == Method::options) {
      // answered_here() has seen that there is one, and that it is not 0.
      sink.field(field.name, std::to_string(parse_decimal(field.value).value() - 1), field.id);
      continue;
    }
    sink.field(field.name, field.value, field.id, field.never_indexed);
  }
  sink.framing(framing);
  if (head.expects_continue) sink.field("Expect", "100-continue", FieldId::expect);
  put_origin(sink, head, context);
  put_via(sink, head.version);
  const std::string_view request_id = effective_request_id(head, context);
  if (!request_id.empty()) sink.field("X-Request-Id", request_id, FieldId::x_request_id);
}

// An upgrade that came by HTTP/2 lacks what RFC 6455 §4.1 asks of HTTP/1 (RFC 8441 §5).
void write_websocket_fields(std::string& out, const RequestHead& head,
                            const ForwardContext& context) {
  if (!context.websocket_key.empty()) {
    write_field(out, "Sec-WebSocket-Key", context.websocket_key);
  }
  if (!head.fields.has(FieldId::sec_websocket_version)) {
    write_field(out, "Sec-WebSocket-Version", kWebSocketVersion);
  }
}

// TE is a matter of one hop too: that Sluice takes trailers is said anew (RFC 9110 §10.1.4).
void write_hop_to_server(std::string& out, const RequestHead& head, const ForwardContext& context) {
  if (head.asks_for_tunnel()) {
    if (head.protocol.empty()) return;
    write_websocket_fields(out, head, context);
    write_field(out, "Upgrade", head.protocol);
    out += "Connection: Upgrade\r\n";
    return;
  }
  const bool trailers = wants_trailers(head.fields);
  if (trailers) out += "TE: trailers\r\n";
  if (trailers && !context.keep_server_connection) {
    out += "Connection: TE, close\r\n";
  } else if (trailers) {
    out += "Connection: TE\r\n";
  } else if (!context.keep_server_connection) {
    out += "Connection: close\r\n";
  }
}

// The Content-Length that a response without a body may carry (HEAD, 304; RFC 9110 §8.6).
bool keeps_content_length(const ResponseHead& head, const ClientFraming& framing) {
  return framing.body.kind == BodyLength::Kind::none && !head.is_interim() && head.status != 204;
}

void write_hop_to_client(std::string& out, const ResponseHead& head, const ClientFraming& framing) {
  if (head.status == kSwitchingProtocols) {
    write_field(out, "Upgrade", kWebSocket);
    out += "Connection: Upgrade\r\n";
    return;
  }
  if (framing.body.kind == BodyLength::Kind::tunnel) return;
  if (!framing.keep_alive) {
    out += "Connection: close\r\n";
  } else if (framing.client_version == Version::http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
}

bool passes_to_client(FieldId id, Version to, const ResponseHead& head,
                      const ClientFraming& framing) {
  switch (id) {
    case FieldId::content_length:
      return keeps_content_length(head, framing);
    case FieldId::sec_websocket_accept:
      return to != Version::http_2;
    case FieldId::trailer:
      return may_have_trailers(to, framing.body);
    default:
      return !belongs_to_one_hop(id);
  }
}

enum class Author { server, sluice };

template <typename Sink>
void put_response_fields(Sink& sink, const ResponseHead& head, const ClientFraming& framing,
                         Author author) {
  const ConnectionOptions options = options_of(head.fields);
  for (const Field field : head.fields) {
    if (!passes_to_client(field.id, Sink::kVersion, head, framing)) continue;
    if (field.id == FieldId::other && options.names(field.name)) continue;
    sink.field(field.name, field.value, field.id, field.never_indexed);
  }
  if (head.is_interim()) return;
  if (author == Author::server) put_via(sink, head.version);
  sink.framing(framing.body);
  if (!framing.date.empty() && !head.fields.has(FieldId::date)) {
    sink.field("Date", framing.date, FieldId::date);
  }
}

void write_response(std::string& out, const ResponseHead& head, const ClientFraming& framing,
                    Author author) {
  reserve_for(out, head.fields);
  // HTTP/2 has no reason phrase, and some readers of HTTP/1 don't do without.
  const bool has_reason = head.version != Version::http_2;
  write_status_line(out, head.status, has_reason ? head.reason : reason_phrase(head.status));
  H1Sink sink(out);
  put_response_fields(sink, head, framing, author);
  if (!head.is_interim()) write_hop_to_client(out, head, framing);
  out += "\r\n";
}

}  // namespace

std::optional<int> answered_here(const RequestHead& head) {
  if (head.method == Method::trace) return 405;
  if (head.method != Method::options) return {};
  const auto hops = head.fields.find(FieldId::max_forwards);
  if (!hops) return {};
  const auto left = parse_decimal(*hops);
  if (!left || head.fields.count(FieldId::max_forwards) > 1) return 400;
  return *left == 0 ? std::optional(204) : std::nullopt;
}

std::string_view effective_request_id(const RequestHead& head, const ForwardContext& context) {
  if (context.client_trusted) {
    const auto given = head.fields.find(FieldId::x_request_id);
    if (given && given->size() <= kRequestIdBytesMax && is_token(*given)) return *given;
  }
  return context.request_id;
}

void write_forwarded_request(std::string& out, const RequestHead& head,
                             const ForwardContext& context, BodyLength framing) {
  SLUICE_CHECK(framing.kind != BodyLength::Kind::until_close);
  reserve_for(out, head.fields);
  const bool connect = head.method == Method::connect;
  write_request_line(out, head.method_text, connect ? head.authority : head.target);
  write_field(out, "Host", head.authority.empty() ? context.default_host : head.authority);
  H1Sink sink(out);
  put_request_fields(sink, head, context, framing);
  write_hop_to_server(out, head, context);
  out += "\r\n";
}

void forward_request_fields(Fields& out, const RequestHead& head, const ForwardContext& context,
                            BodyLength framing) {
  H2Sink sink(out);
  put_request_fields(sink, head, context, framing);
  if (wants_trailers(head.fields)) sink.field("te", "trailers", FieldId::te);
}

ClientFraming frame_for_client(const RequestHead& request, const ResponseHead& response,
                               bool keep_alive_wanted, std::string_view date) {
  using Kind = BodyLength::Kind;
  ClientFraming framing{request.version, response.body, keep_alive_wanted && request.keep_alive,
                        date};
  if (response.body.kind == Kind::tunnel) {
    framing.keep_alive = false;
    return framing;
  }
  if (request.method == Method::head || response.is_interim() || response.status == 204 ||
      response.status == 304) {
    framing.body = {};
  }
  Kind& kind = framing.body.kind;
  if (kind == Kind::chunked && request.version == Version::http_1_0) kind = Kind::until_close;
  if (kind == Kind::until_close && request.version != Version::http_1_0) kind = Kind::chunked;
  if (kind == Kind::until_close) framing.keep_alive = false;
  return framing;
}

void write_forwarded_response(std::string& out, const ResponseHead& head,
                              const ClientFraming& framing) {
  write_response(out, head, framing, Author::server);
}

void write_own_response(std::string& out, const ResponseHead& head, const ClientFraming& framing) {
  write_response(out, head, framing, Author::sluice);
}

void forward_response_fields(Fields& out, const ResponseHead& head, const ClientFraming& framing) {
  H2Sink sink(out);
  put_response_fields(sink, head, framing, Author::server);
}

void own_response_fields(Fields& out, const ResponseHead& head, const ClientFraming& framing) {
  H2Sink sink(out);
  put_response_fields(sink, head, framing, Author::sluice);
}

}  // namespace sluice::http

#include "proxy/http/forwarding.h"

#include "proxy/base/check.h"
#include "proxy/http/connection_options.h"
#include "proxy/http/h1_writer.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

// Room for what is added to a head besides its own fields.
constexpr std::size_t kAddedBytes = 512;

bool belongs_to_one_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
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

// RFC 9110 §7.6.3, behind any Via that is there: a list may be several lines.
void write_via(std::string& out, Version received) {
  out += received == Version::http_1_0   ? "Via: 1.0 "
         : received == Version::http_1_1 ? "Via: 1.1 "
                                         : "Via: 2 ";
  out.append(kProxyName).append("\r\n");
}

// One field of all that are there under `id` from a trusted peer, and `added` at the end.
void write_extended(std::string& out, std::string_view name, FieldId id, const Fields& fields,
                    bool trusted, std::string_view added) {
  std::string value;
  for (const Field field : fields) {
    if (!trusted || field.id != id || field.value.empty()) continue;
    value.append(field.value).append(", ");
  }
  value += added;
  write_field(out, name, value);
}

// RFC 7239 §4; §6: an IPv6 address is quoted and in brackets.
std::string forwarded_element(const RequestHead& head, const ForwardContext& context) {
  const std::string_view address = context.client_address;
  const bool ipv6 = address.find(':') != std::string_view::npos;
  std::string element = "for=";
  if (address.empty()) {
    element += "unknown";
  } else if (ipv6) {
    element.append("\"[").append(address).append("]\"");
  } else {
    element += address;
  }
  if (!head.authority.empty()) element.append(";host=\"").append(head.authority).append("\"");
  return element.append(";proto=").append(context.client_scheme);
}

// Says where the request came from; the client's own word counts only if it is trusted.
void write_origin(std::string& out, const RequestHead& head, const ForwardContext& context) {
  const bool trusted = context.client_trusted;
  if (!context.client_address.empty()) {
    write_extended(out, "X-Forwarded-For", FieldId::x_forwarded_for, head.fields, trusted,
                   context.client_address);
  }
  if (!trusted || !head.fields.has(FieldId::x_forwarded_proto)) {
    write_field(out, "X-Forwarded-Proto", context.client_scheme);
  }
  if (!head.authority.empty() && (!trusted || !head.fields.has(FieldId::x_forwarded_host))) {
    write_field(out, "X-Forwarded-Host", head.authority);
  }
  if (trusted && head.fields.has(FieldId::forwarded)) {
    write_extended(out, "Forwarded", FieldId::forwarded, head.fields, trusted,
                   forwarded_element(head, context));
  }
}

// Of a request's fields, those that go to the server as they came.
bool passes_to_server(FieldId id, const ForwardContext& context, BodyLength framing) {
  switch (id) {
    case FieldId::content_length:
    case FieldId::expect:
    case FieldId::forwarded:
    case FieldId::host:
    case FieldId::x_request_id:
      return false;
    case FieldId::x_forwarded_for:
      // With an address to append, all of them become one field.
      return context.client_trusted && context.client_address.empty();
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_proto:
      return context.client_trusted;
    case FieldId::trailer:
      return framing.kind == BodyLength::Kind::chunked;
    default:
      return !belongs_to_one_hop(id);
  }
}

// TE is a matter of one hop too: that Sluice takes trailers is said anew (RFC 9110 §10.1.4).
void write_hop_to_server(std::string& out, const RequestHead& head, const ForwardContext& context) {
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
  if (head.is_interim()) return;
  write_framing(out, framing.body);
  if (!framing.date.empty() && !head.fields.has(FieldId::date)) {
    write_field(out, "Date", framing.date);
  }
  if (!framing.keep_alive) {
    out += "Connection: close\r\n";
  } else if (framing.client_version == Version::http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
}

bool passes_to_client(FieldId id, const ResponseHead& head, const ClientFraming& framing) {
  switch (id) {
    case FieldId::content_length:
      return keeps_content_length(head, framing);
    case FieldId::trailer:
      return framing.body.kind == BodyLength::Kind::chunked;
    default:
      return !belongs_to_one_hop(id);
  }
}

}  // namespace

std::optional<int> answered_here(const RequestHead& head) {
  if (head.method == Method::connect || head.method == Method::trace) return 405;
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
  const ConnectionOptions options = options_of(head.fields);
  write_request_line(out, head.method_text, head.target);
  write_field(out, "Host", head.authority.empty() ? context.default_host : head.authority);
  for (const Field field : head.fields) {
    if (!passes_to_server(field.id, context, framing)) continue;
    if (field.id == FieldId::other && options.names(field.name)) continue;
    if (field.id == FieldId::max_forwards && head.method == Method::options) {
      // answered_here() has seen that there is one, and that it is not 0.
      write_field(out, field.name, std::to_string(parse_decimal(field.value).value() - 1));
      continue;
    }
    write_field(out, field.name, field.value);
  }
  write_framing(out, framing);
  if (head.expects_continue) out += "Expect: 100-continue\r\n";
  write_origin(out, head, context);
  write_via(out, head.version);
  const std::string_view request_id = effective_request_id(head, context);
  if (!request_id.empty()) write_field(out, "X-Request-Id", request_id);
  write_hop_to_server(out, head, context);
  out += "\r\n";
}

ClientFraming frame_for_client(const RequestHead& request, const ResponseHead& response,
                               bool keep_alive_wanted, std::string_view date) {
  using Kind = BodyLength::Kind;
  ClientFraming framing{request.version, response.body, keep_alive_wanted && request.keep_alive,
                        date};
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
  reserve_for(out, head.fields);
  const ConnectionOptions options = options_of(head.fields);
  write_status_line(out, head.status, head.reason);
  for (const Field field : head.fields) {
    if (!passes_to_client(field.id, head, framing)) continue;
    if (field.id == FieldId::other && options.names(field.name)) continue;
    write_field(out, field.name, field.value);
  }
  if (!head.is_interim()) write_via(out, head.version);
  write_hop_to_client(out, head, framing);
  out += "\r\n";
}

void write_own_response(std::string& out, const ResponseHead& head, const ClientFraming& framing) {
  reserve_for(out, head.fields);
  write_status_line(out, head.status, head.reason);
  for (const Field field : head.fields) {
    if (passes_to_client(field.id, head, framing)) write_field(out, field.name, field.value);
  }
  write_hop_to_client(out, head, framing);
  out += "\r\n";
}

}  // namespace sluice::http

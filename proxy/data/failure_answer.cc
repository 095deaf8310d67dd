#include "proxy/data/failure_answer.h"

namespace sluice::proxy {

using Kind = BackendFailure::Kind;

FailureAnswer answer_for(Kind kind) {
  switch (kind) {
    case Kind::connect_refused:
      return {503, "connection_refused", "The server refused the connection."};
    case Kind::connect_failed:
      return {503, "destination_unavailable", "The server could not be reached."};
    case Kind::connect_timeout:
      return {504, "connection_timeout", "The server did not take the connection in time."};
    case Kind::certificate_refused:
      return {502, "tls_certificate_error", "The server's certificate was refused."};
    case Kind::tls_failed:
      return {502, "tls_protocol_error", "The TLS handshake with the server failed."};
    case Kind::no_socket:
      return {503, "connection_limit_reached", "The proxy can open no further connection."};
    case Kind::closed:
      return {502, "connection_terminated", "The server closed the connection without an answer."};
    case Kind::turned_away:
      return {503, "destination_unavailable", "The server turned the request away."};
    case Kind::upgrade_refused:
      return {502, "http_upgrade_failed", "The server does not take such an upgrade."};
    case Kind::bad_response:
      return {502, "http_protocol_error", "The server's answer was not valid HTTP."};
    case Kind::response_timeout:
      return {504, "http_response_timeout", "The server did not answer in time."};
  }
  return {502, "proxy_internal_error", ""};
}

bool is_connect_failure(Kind kind) {
  return kind == Kind::connect_refused || kind == Kind::connect_failed ||
         kind == Kind::connect_timeout || kind == Kind::certificate_refused ||
         kind == Kind::tls_failed;
}

}  // namespace sluice::proxy

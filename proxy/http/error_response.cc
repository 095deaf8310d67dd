#include "proxy/http/error_response.h"

#include "proxy/base/check.h"
#include "proxy/http/forwarding.h"
#include "proxy/http/grpc.h"
#include "proxy/http/h1_writer.h"

namespace sluice::http {
namespace {

constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

// RFC 9209 §2.3.
std::string_view usual_error(int status) {
  switch (status) {
    case 404:
      return "destination_not_found";
    case 405:
      return "http_request_denied";
    case 500:
      return "proxy_internal_error";
    case 502:
      return "http_protocol_error";
    case 503:
      return "destination_unavailable";
    case 504:
      return "http_response_timeout";
    default:
      return "http_request_error";
  }
}

bool ends_connection(int status) {
  switch (status) {
    case 400:
    case 408:
    case 413:
    case 414:
    case 417:
    case 431:
    case 500:
    case 501:
    case 505:
      return true;
    default:
      return false;
  }
}

std::string printable(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  return result;
}

// sf-string (RFC 8941 §3.3.3). `text` is printable ASCII.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result += '"';
}

std::string proxy_status(int status, std::string_view safe_detail, std::string_view error) {
  std::string value(kProxyName);
  value += "; error=";
  value += error.empty() ? usual_error(status) : error;
  if (!safe_detail.empty()) value += "; details=" + quoted(safe_detail);
  return value;
}

}  // namespace

ErrorResponse error_response(int status, std::string_view detail, std::string_view error) {
  SLUICE_CHECK(status >= 200 && status <= 599);
  ErrorResponse response;
  ResponseHead& head = response.head;
  head.status = status;
  head.reason = reason_phrase(status);
  head.keep_alive = !ends_connection(status);
  if (status == 405 || status == 204) head.fields.append("Allow", kAllowedMethods);
  if (status == 204) return response;

  const std::string safe_detail = printable(detail);
  response.body = std::to_string(status) + " " + head.reason;
  if (!safe_detail.empty()) response.body += ": " + safe_detail;
  response.body += '\n';
  head.body = {BodyLength::Kind::known, response.body.size()};
  head.fields.append("Content-Type", "text/plain; charset=utf-8");
  head.fields.append("Content-Length", std::to_string(response.body.size()));
  head.fields.append("Cache-Control", "no-store");
  head.fields.append("Proxy-Status", proxy_status(status, safe_detail, error));
  return response;
}

ErrorResponse grpc_error_response(int status, std::string_view detail, std::string_view error) {
  SLUICE_CHECK(status >= 400 && status <= 599);
  ErrorResponse response;
  ResponseHead& head = response.head;
  head.status = 200;
  head.reason = reason_phrase(head.status);
  head.keep_alive = !ends_connection(status);
  head.body = {BodyLength::Kind::known, 0};
  head.fields.append("Content-Type", "application/grpc");
  head.fields.append("Grpc-Status", std::to_string(static_cast<int>(grpc_status_for(status))));
  head.fields.append("Grpc-Message", grpc_message(detail.empty() ? reason_phrase(status) : detail));
  head.fields.append("Proxy-Status", proxy_status(status, printable(detail), error));
  return response;
}

}  // namespace sluice::http

#include "proxy/http/h1_writer.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "proxy/base/check.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kFieldSeparator = ": ";
constexpr std::size_t kDecimalBytesMax = 20;

// `bytes` more, which write(to) fills.
template <typename Write>
void extend(std::string& out, std::size_t bytes, Write write) {
  const std::size_t before = out.size();
  // libstdc++ 12 hands the callback the capacity where the standard says the size.
  out.resize_and_overwrite(before + bytes, [&](char* data, std::size_t) {
    write(data + before);
    return before + bytes;
  });
}

char* copy(char* to, std::string_view text) {
  return std::copy_n(text.data(), text.size(), to);
}

bool is_framing(FieldId id) {
  return id == FieldId::content_length || id == FieldId::transfer_encoding;
}

}  // namespace

void write_field(std::string& out, std::string_view name, std::string_view value) {
  SLUICE_CHECK(is_field_value(name) && is_field_value(value));
  extend(out, name.size() + kFieldSeparator.size() + value.size() + kLineEnd.size(),
         [&](char* to) { copy(copy(copy(copy(to, name), kFieldSeparator), value), kLineEnd); });
}

void write_decimal(std::string& out, std::uint64_t value) {
  char digits[kDecimalBytesMax];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void write_request_line(std::string& out, std::string_view method, std::string_view target) {
  SLUICE_CHECK(is_token(method) && is_field_value(target));
  SLUICE_CHECK(target.find_first_of(" \t") == std::string_view::npos);
  constexpr std::string_view kEnd = " HTTP/1.1\r\n";
  extend(out, method.size() + 1 + target.size() + kEnd.size(),
         [&](char* to) { copy(copy(copy(copy(to, method), " "), target), kEnd); });
}

void write_status_line(std::string& out, int status, std::string_view reason) {
  SLUICE_CHECK(status >= 100 && status <= 599 && is_field_value(reason));
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const char digits[] = {static_cast<char>('0' + status / 100),
                         static_cast<char>('0' + status / 10 % 10),
                         static_cast<char>('0' + status % 10), ' '};
  const std::string_view code(digits, sizeof digits);
  extend(out, kVersion.size() + code.size() + reason.size() + kLineEnd.size(),
         [&](char* to) { copy(copy(copy(copy(to, kVersion), code), reason), kLineEnd); });
}

void write_framing(std::string& out, BodyLength body) {
  switch (body.kind) {
    case BodyLength::Kind::known:
      out += "Content-Length: ";
      write_decimal(out, body.bytes);
      out += kLineEnd;
      return;
    case BodyLength::Kind::chunked:
      out += "Transfer-Encoding: chunked\r\n";
      return;
    case BodyLength::Kind::none:
    case BodyLength::Kind::until_close:
    case BodyLength::Kind::tunnel:
      return;
  }
}

void write_request_head(std::string& out, const RequestHead& head) {
  write_request_line(out, head.method_text, head.target);
  write_field(out, "Host", head.authority);
  for (const Field field : head.fields) {
    const bool own = field.id == FieldId::host || field.id == FieldId::connection;
    if (!own && !is_framing(field.id)) write_field(out, field.name, field.value);
  }
  write_framing(out, head.body);
  if (!head.keep_alive) out += "Connection: close\r\n";
  out += kLineEnd;
}

void write_chunk_header(std::string& out, std::uint64_t bytes) {
  SLUICE_CHECK(bytes > 0);
  char digits[kChunkHeaderBytesMax];
  const auto end = std::to_chars(digits, digits + sizeof digits, bytes, 16).ptr;
  out.append(digits, end);
  out += kLineEnd;
}

void write_last_chunk(std::string& out, const Fields& trailers) {
  out += "0\r\n";
  for (const Field field : trailers) write_field(out, field.name, field.value);
  out += kLineEnd;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace sluice::http

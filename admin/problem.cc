#include "admin/problem.h"

#include <fmt/core.h>

#include "admin/json_writer.h"
#include "proxy/base/check.h"

namespace sluice::admin {

std::string_view status_title(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      SLUICE_CHECK(!"a status that no call answers with");
      return {};
  }
}

Reply problem(int status, std::string_view code, std::string detail) {
  return problem(status, code, std::move(detail), [](JsonWriter&) {});
}

Reply problem(int status, std::string_view code, std::string detail,
              const std::function<void(JsonWriter&)>& members) {
  JsonWriter json;
  json.begin_object();
  json.key("status").value(status);
  json.key("title").value(status_title(status));
  json.key("code").value(code);
  json.key("detail").value(detail);
  members(json);
  json.end_object();
  Reply reply;
  reply.status = status;
  reply.content_type = "application/problem+json";
  reply.body = json.finish();
  reply.note = fmt::format("{}: {}", code, detail);
  return reply;
}

}  // namespace sluice::admin

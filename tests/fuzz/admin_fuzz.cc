// Fuzzes the admin API: whatever a caller sends, it gets one well-formed reply, and only a command
// that was answered with 200 and said to change something changes anything.
//
// Input: `METHOD TARGET` LF, then `name: value` lines (host, content-type, if-match, origin,
// sec-fetch-site, uid), an empty line, and the body.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "tests/admin/node.h"

namespace {

using sluice::admin::Caller;
using sluice::admin::Reply;
using sluice::admin::Request;
using sluice::admin::testing::Node;

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

void set_field(Request& request, std::string_view line) {
  const std::size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  const std::string value(line.substr(colon + 2));
  if (name == "content-type") request.content_type = value;
  if (name == "if-match") request.if_match = value;
  if (name == "origin") request.origin = value;
  if (name == "sec-fetch-site") request.sec_fetch_site = value;
  if (name == "uid") request.caller.uid = static_cast<std::uint32_t>(value.size());
  if (name == "host") {
    request.host = value;
    request.caller.transport = Caller::Transport::loopback_tcp;
  }
}

Request read_request(std::string_view text) {
  const std::string_view start = take_line(text);
  const std::size_t space = start.find(' ');
  Request request = sluice::admin::testing::make_request(
      start.substr(0, space), space == std::string_view::npos ? "" : start.substr(space + 1));
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    set_field(request, line);
  }
  request.body = text;
  return request;
}

void check_reply(const Reply& reply) {
  SLUICE_CHECK(reply.status >= 200 && reply.status <= 599);
  SLUICE_CHECK(reply.body.ends_with('\n'));
  SLUICE_CHECK(reply.status == 200 || reply.status == 503 ||
               reply.content_type == "application/problem+json");
  if (reply.content_type.ends_with("json")) {
    const auto json = nlohmann::json::parse(reply.body, nullptr, false);
    SLUICE_CHECK(json.is_object());
  }
  for (const auto& [name, value] : reply.fields)
    SLUICE_CHECK(value.find_first_of("\r\n") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Node node;
  const Request request = read_request({reinterpret_cast<const char*>(data), size});
  check_reply(sluice::admin::handle_read_only(request, node.view()));
  const auto before = node.state.revision();
  const Reply reply = node.call(request);
  check_reply(reply);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  SLUICE_CHECK(node.state.revision() == before || (reply.status == 200 && !reads));
  return 0;
}

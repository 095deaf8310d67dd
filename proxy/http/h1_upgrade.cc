#include "proxy/http/h1_upgrade.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace sluice::http {
namespace {

bool is_base64_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

// Upgrade is the one word `websocket`, on one line.
bool names_websocket_alone(const Fields& fields) {
  const auto upgrade = fields.find(FieldId::upgrade);
  return upgrade && equals_ignoring_case(*upgrade, kWebSocket) &&
         fields.count(FieldId::upgrade) == 1;
}

const char* check_websocket_request(const RequestHead& head) {
  if (head.method != Method::get) return "upgrade to websocket with another method than GET";
  const bool has_body = head.body.kind == BodyLength::Kind::chunked || head.body.bytes > 0;
  if (has_body) return "upgrade to websocket with a body";
  const auto key = head.fields.find(FieldId::sec_websocket_key);
  if (!key) return "upgrade to websocket without Sec-WebSocket-Key";
  if (head.fields.count(FieldId::sec_websocket_key) > 1) return "repeated Sec-WebSocket-Key";
  if (!is_websocket_key(*key)) return "Sec-WebSocket-Key is not 16 bytes in base64";
  const auto version = head.fields.find(FieldId::sec_websocket_version);
  const bool version_known =
      version == kWebSocketVersion && head.fields.count(FieldId::sec_websocket_version) == 1;
  return version_known ? nullptr : "Sec-WebSocket-Version is not 13";
}

}  // namespace

bool is_websocket_key(std::string_view text) {
  constexpr std::string_view kPadding = "==";
  constexpr std::size_t kDigits = 22;
  return text.size() == kDigits + kPadding.size() && text.ends_with(kPadding) &&
         std::all_of(text.begin(), text.begin() + kDigits, is_base64_digit);
}

ParseError take_tunnel(RequestHead& head, const ConnectionOptions& options) {
  if (head.method == Method::connect) {
    if (head.body.kind != BodyLength::Kind::none) return {400, "CONNECT with a body"};
    head.body = {BodyLength::Kind::tunnel};
    return {};
  }
  const bool asked =
      head.version == Version::http_1_1 && options.upgrade() && names_websocket_alone(head.fields);
  if (!asked) return {};
  if (const char* problem = check_websocket_request(head)) return {400, problem};
  head.protocol = kWebSocket;
  head.body = {BodyLength::Kind::tunnel};
  return {};
}

ParseError check_switch(const ResponseHead& head, const ConnectionOptions& options) {
  if (head.version != Version::http_1_1) return {502, "101 in HTTP/1.0"};
  if (!options.upgrade()) return {502, "101 without Connection: Upgrade"};
  if (!names_websocket_alone(head.fields)) return {502, "101 to another protocol than asked for"};
  return {};
}

}  // namespace sluice::http

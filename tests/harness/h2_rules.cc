#include "tests/harness/h2_rules.h"

#include <charconv>
#include <set>
#include <string_view>

namespace sluice::harness {
namespace {

bool is_name(std::string_view name) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  if (name.empty()) return false;
  for (char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && kSigns.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool is_value(std::string_view value) {
  for (char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  if (value.empty()) return true;
  auto blank = [](char c) { return c == ' ' || c == '\t'; };
  return !blank(value.front()) && !blank(value.back());
}

// What no request may carry, trailers or not.
std::string check_regular(const std::string& name, const std::string& value) {
  if (!is_name(name)) return "a bad field name: " + name;
  if (!is_value(value)) return "a bad value of " + name;
  for (const char* hop : {"connection", "proxy-connection", "keep-alive", "transfer-encoding",
                          "upgrade", "http2-settings"}) {
    if (name == hop) return "a connection-specific field: " + name;
  }
  if (name == "te" && value != "trailers") return "te: " + value;
  return "";
}

std::string check_pseudo(const Fields& fields) {
  const std::string method = fields.get(":method").value_or("");
  if (!fields.has(":method")) return "no :method";
  const bool plain_connect = method == "CONNECT" && !fields.has(":protocol");
  if (fields.has(":protocol") && method != "CONNECT") return ":protocol without CONNECT";
  for (const char* name : {":scheme", ":path"}) {
    if (plain_connect && fields.has(name)) return std::string(name) + " with CONNECT";
    if (!plain_connect && !fields.has(name)) return std::string("no ") + name;
  }
  if (fields.get(":authority").value_or("").empty()) return "no :authority";
  if (plain_connect) return "";
  const std::string path = *fields.get(":path");
  const bool star = path == "*" && method == "OPTIONS";
  if (!path.starts_with('/') && !star) return "a bad :path: " + path;
  if (path.find_first_of(" #") != std::string::npos) return "a bad :path: " + path;
  const std::string scheme = *fields.get(":scheme");
  if (scheme != "http" && scheme != "https") return "a bad :scheme: " + scheme;
  return "";
}

}  // namespace

std::optional<std::uint64_t> h2_content_length(const Fields& fields) {
  const auto text = fields.get("content-length");
  if (!text) return std::nullopt;
  std::uint64_t length = 0;
  std::from_chars(text->data(), text->data() + text->size(), length);
  return length;
}

std::string check_h2_request(const Fields& fields, bool end_stream) {
  static const std::set<std::string_view> kPseudo = {":method", ":scheme", ":authority", ":path",
                                                     ":protocol"};
  bool regular = false;
  for (const auto& [name, value] : fields.lines) {
    if (!name.starts_with(':')) {
      regular = true;
      if (std::string wrong = check_regular(name, value); !wrong.empty()) return wrong;
      continue;
    }
    if (!kPseudo.contains(name)) return "an unknown pseudo-header field: " + name;
    if (regular) return name + " behind a regular field";
    if (fields.count(name) != 1) return name + " twice";
    if (!is_value(value)) return "a bad value of " + name;
  }
  if (std::string wrong = check_pseudo(fields); !wrong.empty()) return wrong;
  if (fields.count("host") > 1) return "host twice";
  if (auto host = fields.get("host"); host && *host != fields.get(":authority")) {
    return "host is not :authority";
  }
  if (fields.count("content-length") > 1) return "content-length twice";
  if (auto length = fields.get("content-length")) {
    if (length->empty() || length->find_first_not_of("0123456789") != std::string::npos) {
      return "a bad content-length: " + *length;
    }
    if (end_stream && *length != "0") return "content-length " + *length + " without DATA";
  }
  return "";
}

std::string check_h2_trailers(const Fields& fields) {
  for (const auto& [name, value] : fields.lines) {
    if (name.starts_with(':')) return name + " in trailers";
    if (std::string wrong = check_regular(name, value); !wrong.empty()) return wrong;
    for (const char* framing : {"content-length", "host", "trailer", "te"}) {
      if (name == framing) return name + " in trailers";
    }
  }
  return "";
}

}  // namespace sluice::harness

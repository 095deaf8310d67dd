#include "proxy/http/path.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

enum ByteClass : std::uint8_t { kInPath = 1, kInQuery = 2, kUnreserved = 4 };

// '/' and '%' are of no class: the scans look at them.
constexpr std::array<std::uint8_t, 256> kByteClasses = [] {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&](std::string_view bytes, unsigned classes) {
    for (const char c : bytes) table[static_cast<unsigned char>(c)] |= classes;
  };
  constexpr unsigned kEverywhere = kInPath | kInQuery;
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = kEverywhere | kUnreserved;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = kEverywhere | kUnreserved;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = kEverywhere | kUnreserved;
  add("-._~", kEverywhere | kUnreserved);
  add("!$&'()*+,;=:@", kEverywhere);
  add("|[]^", kEverywhere);  // browsers send them as they are
  add("/?{}\\`", kInQuery);  // the last four likewise
  return table;
}();

bool is_in(char c, unsigned classes) {
  return (kByteClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

// The byte that the three characters at `at` encode; -1 if they are no percent-encoding.
int decoded_at(std::string_view text, std::size_t at) {
  if (text.size() - at < 3) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

char upper_digit(char c) {
  return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
}

const char* why_bad_byte(char c) {
  if (c == '#') return "fragment in request target";
  if (c == '\\') return "backslash in path";
  return "bad byte in request target";
}

// From the question mark on. Its encodings mean what the server says they mean.
const char* check_query(std::string_view query) {
  for (std::size_t at = 0; at < query.size(); ++at) {
    if (is_in(query[at], kInQuery)) continue;
    if (query[at] != '%') return why_bad_byte(query[at]);
    const int byte = decoded_at(query, at);
    if (byte < 0) return "malformed percent-encoding";
    if (byte == 0) return "encoded NUL in request target";
    at += 2;
  }
  return nullptr;
}

// Appends a segment with its encodings in their one form (RFC 3986 §6.2.2.1, §6.2.2.2).
const char* append_segment(std::string_view segment, std::string& out) {
  for (std::size_t at = 0; at < segment.size(); ++at) {
    const char c = segment[at];
    if (is_in(c, kInPath)) {
      out += c;
      continue;
    }
    if (c != '%') return why_bad_byte(c);
    const int byte = decoded_at(segment, at);
    if (byte < 0) return "malformed percent-encoding";
    if (byte == 0) return "encoded NUL in request target";
    if (byte == '/') return "encoded slash in path";
    if (byte == '\\') return "encoded backslash in path";
    if (is_in(static_cast<char>(byte), kUnreserved)) {
      out += static_cast<char>(byte);
    } else {
      out += {'%', upper_digit(segment[at + 1]), upper_digit(segment[at + 2])};
    }
    at += 2;
  }
  return nullptr;
}

// Servers that take `;parameters` off a segment see a dot segment in `..;x`; so may one that
// decodes `..%3Bx` first.
bool is_disguised_dot_segment(std::string_view segment) {
  const std::size_t dots = segment.starts_with("..") ? 2 : segment.starts_with('.') ? 1 : 0;
  const std::string_view rest = segment.substr(dots);
  return dots > 0 && (rest.starts_with(';') || rest.starts_with("%3B"));
}

// `path` segment by segment into `out`, which is empty (RFC 3986 §5.2.4, §6.2.2.3). Empty segments
// go first, so that `..` takes back what a reader who merges slashes would see before it.
const char* rewrite_path(std::string_view path, std::string& out) {
  out.reserve(path.size());
  out = "/";
  std::size_t at = 1;
  for (;;) {
    const std::size_t begin = out.size();
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (const char* problem = append_segment(path.substr(at, end - at), out)) return problem;
    const std::string_view segment = std::string_view(out).substr(begin);
    if (is_disguised_dot_segment(segment)) return "dot segment with parameters in path";
    if (segment == ".") {
      out.resize(begin);
    } else if (segment == "..") {
      if (begin == 1) return "path leads above the root";
      out.resize(out.rfind('/', begin - 2) + 1);
    } else if (!segment.empty() && end < path.size()) {
      out += '/';
    }
    if (end == path.size()) return nullptr;
    at = end + 1;
  }
}

// The first byte that isn't plainly part of a path in its one form: an encoding, what begins with
// a dot behind a slash, a slash behind a slash, the query, or a byte that is refused.
std::size_t plain_prefix(std::string_view text) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (is_in(text[at], kInPath)) continue;
    if (text[at] != '/') break;
    if (at + 1 < text.size() && (text[at + 1] == '/' || text[at + 1] == '.')) break;
  }
  return at;
}

}  // namespace

const char* normalize_target(Method method, std::string& target) {
  if (target == "*") {
    return method == Method::options ? nullptr : "request target '*' without OPTIONS";
  }
  if (!target.starts_with('/')) return "request target does not begin with '/'";
  const std::size_t plain = plain_prefix(target);
  if (plain == target.size()) return nullptr;
  const std::size_t path_end =
      target[plain] == '?' ? plain : std::min(target.find('?'), target.size());
  const std::string_view text = target;
  if (const char* problem = check_query(text.substr(path_end))) return problem;
  if (plain == path_end) return nullptr;
  std::string normalized;
  if (const char* problem = rewrite_path(text.substr(0, path_end), normalized)) return problem;
  target.replace(0, path_end, normalized);
  return nullptr;
}

}  // namespace sluice::http

// Message heads in a form that belongs to no HTTP version: what codecs produce and consume.
// RFC 9110 §6; the names of fields are compared without case, and kept as they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http {

// The fields that the proxy itself looks at. Everything else is `other`.
enum class FieldId : std::uint8_t {
  other,
  age,
  authorization,
  cache_control,
  connection,
  content_encoding,
  content_length,
  content_range,
  content_type,
  cookie,
  date,
  expect,
  forwarded,
  host,
  http2_settings,
  keep_alive,
  location,
  max_forwards,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  proxy_status,
  sec_websocket_accept,
  sec_websocket_key,
  sec_websocket_version,
  server,
  set_cookie,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  via,
  www_authenticate,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_proto,
  x_request_id,
};

FieldId field_id(std::string_view name);
// ASCII, as field names, schemes, hosts and connection options compare.
bool equals_ignoring_case(std::string_view a, std::string_view b);
// Calls f(element) for each non-empty element of a comma-separated list, optional white space
// removed (RFC 9110 §5.6.1).
template <typename F>
void for_each_list_element(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
      element.remove_prefix(1);
    while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
      element.remove_suffix(1);
    if (!element.empty()) f(element);
  }
}

struct Field {
  std::string_view name;
  std::string_view value;
  FieldId id = FieldId::other;
  // Came as a literal that must never be indexed, and must leave so (RFC 7541 §6.2.3).
  bool never_indexed = false;
};

// Fields in order, their text in one block that the object owns. Views from it are good until the
// next append() or clear().
class Fields {
 public:
  // What an entry can address; codecs refuse more long before (SLUICE_CHECK in append()).
  static constexpr std::size_t kNameBytesMax = 0xffff;
  static constexpr std::size_t kTextBytesMax = 0xffff'ffff;

  void append(std::string_view name, std::string_view value) {
    append(name, value, field_id(name));
  }
  void append(std::string_view name, std::string_view value, FieldId id,
              bool never_indexed = false);
  // A copy with the name made lower case, as HTTP/2 wants it (RFC 9113 §8.2.1).
  void append_lower(const Field& field);
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  Field operator[](std::size_t index) const {
    const Entry& e = entries_[index];
    const char* const name = text_.data() + e.offset;
    return {{name, e.name_length}, {name + e.name_length, e.value_length}, e.id, e.never_indexed};
  }
  // Whether there is a field with this id (not FieldId::other): no search.
  bool has(FieldId id) const { return (present_ & bit(id)) != 0; }
  // The value of the first field with this id.
  std::optional<std::string_view> find(FieldId id) const;
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(FieldId id) const;
  // Bytes of all names and values.
  std::size_t text_bytes() const { return text_.size(); }
  void clear() {
    text_.clear();
    entries_.clear();
    present_ = 0;
  }

  class Iterator {
   public:
    Iterator(const Fields* fields, std::size_t index) : fields_(fields), index_(index) {}
    Field operator*() const { return (*fields_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Fields* fields_;
    std::size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, entries_.size()}; }

 private:
  struct Entry {
    std::uint32_t offset = 0;
    std::uint32_t value_length = 0;
    std::uint16_t name_length = 0;
    FieldId id = FieldId::other;
    bool never_indexed = false;
  };
  static constexpr std::uint64_t bit(FieldId id) {
    return std::uint64_t{1} << static_cast<unsigned>(id);
  }

  std::string text_;
  std::vector<Entry> entries_;
  std::uint64_t present_ = 0;  // bit(id) is set exactly when an entry has that id
};
static_assert(static_cast<unsigned>(FieldId::x_request_id) < 64, "Fields needs a wider set");

enum class Method : std::uint8_t {
  other,
  get,
  head,
  post,
  put,
  del,
  connect,
  options,
  trace,
  patch
};

Method method_from(std::string_view token);
// RFC 9110 §9.2.2.
bool is_idempotent(Method method);

// The one protocol that Sluice lets HTTP/1 connections be upgraded to (RFC 6455).
inline constexpr std::string_view kWebSocket = "websocket";
inline constexpr std::string_view kWebSocketVersion = "13";
inline constexpr int kSwitchingProtocols = 101;

enum class Version : std::uint8_t { http_1_0, http_1_1, http_2 };

// How long a body is, as its head says (RFC 9112 §6.3).
struct BodyLength {
  enum class Kind : std::uint8_t {
    none,         // no body
    known,        // exactly `bytes`
    chunked,      // until its own end mark (an HTTP/2 body without content-length too)
    until_close,  // responses only: until the server closes
    tunnel,       // opaque bytes, both ways, once a response has opened the tunnel
  };
  Kind kind = Kind::none;
  std::uint64_t bytes = 0;

  // No byte of a body follows the head.
  bool is_empty() const { return kind == Kind::none || (kind == Kind::known && bytes == 0); }
};

struct RequestHead {
  std::string method_text;
  Method method = Method::other;
  // "http" or "https": what the client's connection was. Its owner sets it; the parsers leave it.
  std::string scheme;
  std::string authority;  // Host or :authority, lower case, checked; port kept
  std::string target;     // origin form, its path in one form (path.h), or "*". Of CONNECT: ""
  // What the client asks to switch to, lower case: `websocket`, from Upgrade (RFC 9110 §7.8) or
  // :protocol (RFC 8441 §4). Its request is a GET here, whatever the version. Empty: nothing.
  std::string protocol;
  Version version = Version::http_1_1;
  Fields fields;
  BodyLength body;
  bool expects_continue = false;  // RFC 9110 §10.1.1
  bool keep_alive = true;         // the client lets the connection stay (RFC 9112 §9.3)

  // The client asks for a tunnel: `body` is one, and opens with the response (101 for a protocol,
  // 2xx for CONNECT). Any other response is an ordinary one, to a request without a body.
  bool asks_for_tunnel() const { return body.kind == BodyLength::Kind::tunnel; }
  // The path without its query.
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // The authority without its port.
  std::string_view host() const {
    const std::string_view text = authority;
    const std::size_t colon = text.rfind(':');
    const bool has_port = colon != std::string_view::npos && text.find(']', colon) == text.npos;
    return has_port ? text.substr(0, colon) : text;
  }
  // Ready for the next message; keeps the memory.
  void clear();
};

struct ResponseHead {
  int status = 0;
  std::string reason;  // HTTP/1 only; may be empty
  Version version = Version::http_1_1;
  Fields fields;
  BodyLength body;
  bool keep_alive = true;  // the server lets the connection stay

  // 101 is final: it opens a tunnel, whatever the version (RFC 8441 §5 has it as 200 on the wire).
  bool is_interim() const { return status >= 100 && status < 200 && status != 101; }
  void clear();
};

}  // namespace sluice::http

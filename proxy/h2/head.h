// Heads out of HTTP/2 field sections, strictly (RFC 9113 §8), and field sections out of heads.
// Pure: nothing here knows frames, HPACK or nghttp2's types.
//
// What is refused, and what by: docs/conformance.md. Stricter than the RFC where a field could be
// read in two ways once it stands in an HTTP/1 message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/forwarding.h"
#include "proxy/http/message.h"
#include "proxy/http/parse_error.h"

namespace sluice::h2 {

// Of a ParseError: the section is malformed, and its stream is reset with PROTOCOL_ERROR (RFC 9113
// §8.1.1). Any other status of a request is an answer for the client: 400 (a target or host that
// is refused whatever the version), 414, 417, 431 (limits), 501. Of a response every error is 502,
// and the stream is reset.
inline constexpr int kMalformed = 1;

// What a field line counts against head_bytes besides its name and value, as
// SETTINGS_MAX_HEADER_LIST_SIZE has it (RFC 9113 §6.5.2).
inline constexpr std::size_t kFieldOverheadBytes = 32;

// What a request was, as far as its response depends on it.
struct Asked {
  http::Method method = http::Method::get;
  bool tunnel = false;   // CONNECT, plain or extended
  bool upgrade = false;  // extended CONNECT: a 2xx means what 101 means (RFC 8441 §5)
};

// Takes a section's fields in the order in which they came, checks each by itself and all of them
// together. Cookie crumbs become one field (RFC 9113 §8.2.3), the last. One reader serves a
// connection: sections don't overlap.
class SectionReader {
 public:
  // What the section is.
  enum class Kind : std::uint8_t { request, response, trailers };

  explicit SectionReader(const http::HeadLimits& limits) : limits_(limits.clamped()) {}

  void begin(Kind kind);
  // Before storing: counts every field line against head_bytes, all but pseudo-header fields,
  // crumbs too, against field_count. After an error nothing more may be added.
  http::ParseError add(std::string_view name, std::string_view value, bool never_indexed = false);

  // The section's end. `complete`: no body follows (END_STREAM). Fills what add() has collected.
  // After an error the head holds what was good, for the log.
  // `scheme` is the connection's own: a request for another one is refused.
  http::ParseError finish_request(bool complete, std::string_view scheme, http::RequestHead& head);
  // 101 on the wire is refused (RFC 9113 §8.6); a 2xx that opens an extended CONNECT becomes 101.
  http::ParseError finish_response(bool complete, const Asked& asked, http::ResponseHead& head);
  http::ParseError finish_trailers(http::Fields& trailers);
  // For the log, after an error from add(): what is known of the request.
  void salvage(http::RequestHead& head);
  // Of the section, as head_bytes counts them.
  std::size_t decoded_bytes() const { return bytes_; }

 private:
  enum Pseudo : std::uint8_t {
    kMethod = 1,
    kScheme = 2,
    kAuthority = 4,
    kPath = 8,
    kProtocol = 16,
    kStatus = 32,
  };
  bool has(Pseudo pseudo) const { return (seen_ & pseudo) != 0; }
  http::ParseError refusal(int status, const char* reason,
                           http::HeadBound bound = http::HeadBound::none) const;
  http::ParseError add_pseudo(std::string_view name, std::string_view value);
  http::ParseError add_regular(std::string_view name, std::string_view value, bool never_indexed);
  void put_cookies();
  http::ParseError check_form() const;
  http::ParseError take_authority(http::RequestHead& head) const;
  http::ParseError take_body(bool complete, http::RequestHead& head) const;

  http::HeadLimits limits_;
  http::Fields fields_;
  std::string method_, scheme_, authority_, path_, protocol_, status_, cookies_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  Kind kind_ = Kind::request;
  std::uint8_t seen_ = 0;  // of Pseudo
  bool regular_seen_ = false;
  bool cookie_seen_ = false;
  bool cookie_never_indexed_ = false;
};

// A field section to send: pseudo-header fields first, all names in lower case, nothing that
// belongs to one HTTP/1 hop.
using Section = http::Fields;

// Each empties `out` first.
//
// The request as it goes on to a server; see http/forwarding.h for what changes. `context` null: a
// request of the proxy's own. `scheme` is that of the connection to the server.
void write_request_section(Section& out, const http::RequestHead& head,
                           const http::ForwardContext* context, std::string_view scheme);
// A server's response on its way to the client; interim ones too. 101 is written as 200.
void write_response_section(Section& out, const http::ResponseHead& head,
                            const http::ClientFraming& framing);
// An answer of our own.
void write_own_response_section(Section& out, const http::ResponseHead& head,
                                const http::ClientFraming& framing);
void write_trailer_section(Section& out, const http::Fields& trailers);

}  // namespace sluice::h2

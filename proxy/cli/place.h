// Place: where the admin API is, as the command line, the environment or the configuration file
// says it. Values; nothing is looked up or connected here.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "conf/config.h"

namespace sluice::cli {

struct Place {
  enum class Scheme : std::uint8_t { unix_socket, http, https };
  Scheme scheme = Scheme::http;
  std::string host;        // a name or an address without brackets; empty for Unix sockets
  std::uint16_t port = 0;  // likewise 0
  std::string path;        // Unix sockets only
  std::string said_by;     // who says so, for messages: "--admin", "admin.listen of FILE"

  // `http://127.0.0.1:9901`, `unix:/run/sluice/admin.sock`.
  std::string to_string() const;
  // What goes into Host.
  std::string authority() const;
  // True where what is sent can be read on the way.
  bool crosses_a_network_in_clear() const;
};

// Where Sluice's packages put its admin socket.
inline constexpr std::string_view kAdminSocket = "/run/sluice/admin.sock";
inline constexpr std::uint16_t kAdminPort = 9901;

// `unix:/PATH`, `unix:///PATH`, `http://HOST[:PORT]`, `https://HOST[:PORT]`, `HOST:PORT` (http).
// The error is a sentence.
std::expected<Place, std::string> parse_place(std::string_view text);

// Where a Sluice with this configuration listens: a Unix socket where it has one, else loopback,
// else what it has. The error says why none of them will do.
std::expected<Place, std::string> place_of(const conf::Admin& admin);

}  // namespace sluice::cli

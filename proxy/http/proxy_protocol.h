// The PROXY header, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a peer that relays a
// connection sends before its first byte, so that the next one knows who the client is.
//
// Read strictly: whatever the specification doesn't have is an error, and the connection is to be
// closed. Of version 2's extensions a checksum is compared, and the others are skipped; LOCAL and
// UNSPEC headers are skipped whole. Whether a peer may send a header at all is the listener's
// matter (it must never be guessed).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/base/address.h"
#include "proxy/base/bytes.h"

namespace sluice::http {

// A version 1 line, CR LF counted.
inline constexpr std::size_t kProxyV1BytesMax = 107;
// A version 2 header: the largest pair of addresses takes 232 bytes; the rest is for extensions.
inline constexpr std::size_t kProxyV2BytesMax = 2048;

// Who speaks to whom. Both are Address::Family::none where the header tells nobody (v1 `UNKNOWN`,
// v2 LOCAL and UNSPEC): then the connection's own addresses count. A Unix socket without a name has
// an empty path.
struct ProxiedAddresses {
  Address source;
  Address destination;
};

// Reads one header. A connection owns one for as long as the header takes, and feeds it whatever
// arrives. The verdict is a function of the bytes alone, however they are split.
class ProxyHeaderParser {
 public:
  enum class Status : std::uint8_t {
    need_more,  // all of the input was consumed
    done,       // consumed up to the header's last byte; what follows is the client's
    error,      // final
  };
  struct Result {
    std::size_t consumed = 0;
    Status status = Status::need_more;
  };

  // After `done` and `error` nothing is consumed any more.
  Result consume(Bytes input);
  // Of a header that is done.
  const ProxiedAddresses& addresses() const { return addresses_; }
  // Of an error: what is wrong (static storage).
  const char* reason() const { return reason_; }

 private:
  Status step();
  Status step_v1();
  Status step_v2();
  Status read_v1();
  Status read_v2();
  Status fail(const char* reason);

  std::string header_;  // what has come of it
  ProxiedAddresses addresses_;
  const char* reason_ = nullptr;
  Status status_ = Status::need_more;
};

enum class ProxyVersion : std::uint8_t { v1 = 1, v2 = 2 };

// Appends the header of a connection that is opened on behalf of `source`, a client that connected
// to `destination`. IPv4-mapped IPv6 addresses are written as the IPv4 addresses that they carry,
// unless only one of the two is. What the version has no form for (Unix sockets in version 1,
// different families, a source of Family::none) is written as unknown: v1 `UNKNOWN`, v2 UNSPEC.
void write_proxy_header(std::string& out, ProxyVersion version, const Address& source,
                        const Address& destination);
// The header of a connection of Sluice's own (a health probe): v1 `UNKNOWN`, v2 LOCAL.
void write_local_proxy_header(std::string& out, ProxyVersion version);

}  // namespace sluice::http

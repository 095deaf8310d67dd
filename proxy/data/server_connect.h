// How both kinds of connection to a server begin: TLS by the backend's settings, sessions kept for
// the next handshake, and what went wrong in terms of an exchange.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/data/server_settings.h"
#include "proxy/data/stream.h"
#include "proxy/data/transport.h"

namespace sluice::proxy {

// TLS sessions with one server, each for one resumption (RFC 8446 appendix C.4). Owned by a pool.
class SavedSessions {
 public:
  static constexpr std::size_t kMax = 8;

  // The newest, or null.
  tls::SavedSession take() {
    if (saved_.empty()) return nullptr;
    tls::SavedSession session = std::move(saved_.back());
    saved_.pop_back();
    return session;
  }
  void keep(tls::SavedSession session) {
    if (!session) return;
    if (saved_.size() == kMax) saved_.erase(saved_.begin());
    saved_.push_back(std::move(session));
  }
  void clear() { saved_.clear(); }

 private:
  std::vector<tls::SavedSession> saved_;
};

// Without a preamble.
inline Transport::Connect connect_options(const Address& server, const ServerSettings& settings,
                                          SavedSessions& sessions) {
  Transport::Connect how;
  if (!settings.tls) return how;
  how.tls = settings.tls.get();
  how.server_name = settings.server_name;
  if (how.server_name.empty() && server.family != Address::Family::unix_path) {
    how.server_name = server.ip_to_string();
  }
  how.session = sessions.take();
  return how;
}

// Of a connect that failed. `tls_failure`: Transport::tls_failure().
inline BackendFailure::Kind connect_failure_kind(Transport::Failure failure,
                                                 std::string_view tls_failure) {
  using Kind = BackendFailure::Kind;
  switch (failure) {
    case Transport::Failure::refused:
      return Kind::connect_refused;
    case Transport::Failure::local:
      return Kind::no_socket;
    case Transport::Failure::tls:
      // The server's alert may speak of certificates, too: of ours, that is.
      return !tls_failure.starts_with(tls::kPeerAlert) &&
                     tls_failure.find("certificate") != tls_failure.npos
                 ? Kind::certificate_refused
                 : Kind::tls_failed;
    default:
      return Kind::connect_failed;
  }
}

}  // namespace sluice::proxy

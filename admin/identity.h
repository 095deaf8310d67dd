// Who a caller is, and what that lets them do. Pure functions over what control found out.
//
// identify() comes first: it says who calls, by what, with which grant. Who can't be told, or has
// no grant, gets no further than refuse_access() (access.h). What a call needs is stated by its
// endpoint (endpoints.h); authorize() compares. See docs/decisions/0014-who-may-call.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "conf/config.h"

namespace sluice::admin {

struct Reply;
struct Request;
struct View;

// Why a caller is nobody to us. The words are a metric's label.
enum class AuthFailure : std::uint8_t {
  none,
  no_credentials,  // over TLS, with neither token nor certificate
  unknown_scheme,  // Authorization says something else than Bearer
  unknown_token,   // or one that was revoked
  expired_token,
  unknown_certificate,  // signed by the right authority, listed by nobody
  expired_certificate,
  unknown_user,  // the kernel did not say
  user_not_listed,
  not_local,  // from another machine, at a listener without TLS
};
inline constexpr std::size_t kAuthFailureCount = 10;
std::string_view word_for(AuthFailure failure);
// The words of an answer's WWW-Authenticate (RFC 6750 §3), and whether it is a 401: the caller may
// mend it by showing a token.
bool asks_for_token(AuthFailure failure);

struct Identity {
  enum class By : std::uint8_t { nobody, uid, token, certificate };

  By by = By::nobody;
  std::string name = "unknown";  // `uid:1000`, `token:ci`, `certificate:ci.internal`
  std::string token_id;          // which of the name's tokens
  conf::Grant grant;             // nothing at all unless `failure` is none
  // By its uid alone, on a loopback that other containers may share: it may read.
  bool reads_only = false;
  AuthFailure failure = AuthFailure::no_credentials;

  bool known() const { return failure == AuthFailure::none; }
};
std::string_view word_for(Identity::By by);
std::string_view word_for(conf::Role role);

Identity identify(const Request& request, const View& view);

// Whether `identity` has `needed` on all of these routes and backends: nullopt, or the refusal,
// which says which role on what is needed. A limited operator has it on those named in its grant.
std::optional<Reply> authorize(const Identity& identity, conf::Role needed,
                               std::span<const std::string> routes = {},
                               std::span<const std::string> backends = {});

}  // namespace sluice::admin

#include "admin/identity.h"

#include <fmt/core.h>

#include <algorithm>

#include "admin/api.h"
#include "admin/problem.h"
#include "admin/view.h"
#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

Identity refused(std::string name, Identity::By by, AuthFailure failure) {
  return {.by = by, .name = std::move(name), .failure = failure};
}

Identity granted(std::string name, Identity::By by, conf::Grant grant) {
  return {
      .by = by, .name = std::move(name), .grant = std::move(grant), .failure = AuthFailure::none};
}

Identity identify_by_token(const Caller::Credentials& shown, WallTime now) {
  using By = Identity::By;
  if (!shown.bearer) return refused("unknown", By::nobody, AuthFailure::unknown_scheme);
  if (!shown.token) return refused("unknown", By::nobody, AuthFailure::unknown_token);
  const conf::Token& token = *shown.token;
  const bool expired = token.expires && now >= *token.expires;
  Identity identity = expired
                          ? refused("token:" + token.name, By::token, AuthFailure::expired_token)
                          : granted("token:" + token.name, By::token, token.grant);
  identity.token_id = token.id;
  return identity;
}

Identity identify_by_certificate(const Caller& caller, const View& view) {
  using By = Identity::By;
  if (!caller.certificate) return refused("unknown", By::nobody, AuthFailure::no_credentials);
  const std::vector<std::string>& names = caller.certificate->names;
  for (const conf::NamedGrant& listed : view.config.admin.certificates) {
    if (std::ranges::find(names, listed.name) == names.end()) continue;
    if (view.now > caller.certificate->expires) {
      return refused("certificate:" + listed.name, By::certificate,
                     AuthFailure::expired_certificate);
    }
    return granted("certificate:" + listed.name, By::certificate, listed.grant);
  }
  return refused(names.empty() ? "unknown" : "certificate:" + names.front(), By::certificate,
                 AuthFailure::unknown_certificate);
}

Identity identify_by_uid(const Caller& caller, const View& view) {
  using By = Identity::By;
  if (caller.transport == Caller::Transport::other) {
    return refused("unknown", By::nobody, AuthFailure::not_local);
  }
  if (!caller.uid) return refused("unknown", By::nobody, AuthFailure::unknown_user);
  const std::uint32_t uid = *caller.uid;
  const std::string name = fmt::format("uid:{}", uid);
  const conf::Admin& admin = view.config.admin;
  const auto listed = view.access.users.find(uid);
  Identity identity;
  if (uid == 0 || uid == view.process.uid ||
      std::ranges::find(admin.uids, uid) != admin.uids.end()) {
    identity = granted(name, By::uid, {.role = conf::Role::admin});
  } else if (listed != view.access.users.end()) {
    identity = granted(name, By::uid, listed->second);
  } else {
    return refused(name, By::uid, AuthFailure::user_not_listed);
  }
  identity.reads_only =
      caller.transport == Caller::Transport::loopback_tcp && !view.access.container.empty();
  return identity;
}

// `route "app"`, `routes "app" and "api"`.
std::string scope_text(std::string_view kind, std::span<const std::string> names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return fmt::format("{}{} {}", kind, names.size() == 1 ? "" : "s", routing::listed(views));
}

std::vector<std::string> not_granted(const std::vector<std::string>& granted_names,
                                     std::span<const std::string> wanted) {
  std::vector<std::string> missing;
  for (const std::string& name : wanted) {
    const auto grants = [&](const std::string& one) { return one == "*" || one == name; };
    if (!std::ranges::any_of(granted_names, grants)) missing.push_back(name);
  }
  return missing;
}

std::string needs(conf::Role needed, std::span<const std::string> routes,
                  std::span<const std::string> backends) {
  std::string text = fmt::format("this call needs the role {}", word_for(needed));
  if (needed != conf::Role::operator_) return text;
  if (!routes.empty()) text += " on " + scope_text("route", routes);
  if (!backends.empty())
    text += (routes.empty() ? " on " : " and ") + scope_text("backend", backends);
  return text;
}

}  // namespace

std::string_view word_for(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::none:
      return "none";
    case AuthFailure::no_credentials:
      return "no_credentials";
    case AuthFailure::unknown_scheme:
      return "unknown_scheme";
    case AuthFailure::unknown_token:
      return "unknown_token";
    case AuthFailure::expired_token:
      return "expired_token";
    case AuthFailure::unknown_certificate:
      return "unknown_certificate";
    case AuthFailure::expired_certificate:
      return "expired_certificate";
    case AuthFailure::unknown_user:
      return "unknown_user";
    case AuthFailure::user_not_listed:
      return "user_not_listed";
    case AuthFailure::not_local:
      return "not_local";
  }
  return "";
}

bool asks_for_token(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::no_credentials:
    case AuthFailure::unknown_scheme:
    case AuthFailure::unknown_token:
    case AuthFailure::expired_token:
    case AuthFailure::expired_certificate:
      return true;
    default:
      return false;
  }
}

std::string_view word_for(Identity::By by) {
  switch (by) {
    case Identity::By::nobody:
      return "nothing";
    case Identity::By::uid:
      return "uid";
    case Identity::By::token:
      return "token";
    case Identity::By::certificate:
      return "certificate";
  }
  return "";
}

std::string_view word_for(conf::Role role) {
  switch (role) {
    case conf::Role::viewer:
      return "viewer";
    case conf::Role::operator_:
      return "operator";
    case conf::Role::admin:
      return "admin";
  }
  return "";
}

Identity identify(const Request& request, const View& view) {
  const Caller& caller = request.caller;
  if (caller.credentials) return identify_by_token(*caller.credentials, view.now);
  if (caller.transport == Caller::Transport::tls) return identify_by_certificate(caller, view);
  return identify_by_uid(caller, view);
}

std::optional<Reply> authorize(const Identity& identity, conf::Role needed,
                               std::span<const std::string> routes,
                               std::span<const std::string> backends) {
  SLUICE_CHECK(identity.known());
  const conf::Grant& grant = identity.grant;
  if (grant.role < needed) {
    return problem(403, "role_not_enough",
                   fmt::format("{} has the role {}, and {}.", identity.name, word_for(grant.role),
                               needs(needed, routes, backends)));
  }
  if (identity.reads_only && needed > conf::Role::viewer) {
    Reply reply =
        problem(401, "token_required",
                fmt::format("In a container other processes may share this loopback, so {} alone "
                            "may only read here, and {}: show a token (-H 'Authorization: Bearer "
                            "slc_…'), or use the Unix socket.",
                            identity.name, needs(needed, routes, backends)));
    reply.fields.emplace_back("WWW-Authenticate", "Bearer realm=\"sluice\"");
    return reply;
  }
  if (needed != conf::Role::operator_ || grant.role != needed || !grant.limited()) return {};
  const auto missing_routes = not_granted(grant.routes, routes);
  const auto missing_backends = not_granted(grant.backends, backends);
  if (missing_routes.empty() && missing_backends.empty()) return {};
  return problem(403, "role_not_enough",
                 fmt::format("{} is an operator of some routes and backends only, and {}.",
                             identity.name, needs(needed, missing_routes, missing_backends)));
}

}  // namespace sluice::admin

#include "admin/access.h"

#include <fmt/core.h>

#include <algorithm>

#include "admin/problem.h"
#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool is_loopback_name(const std::string& name) {
  if (name == "localhost") return true;
  const std::optional<Address> address = Address::parse(name + ":0");
  return address && address->is_loopback();
}

std::optional<Reply> refuse_host(const Request& request, const View& view) {
  // Nobody's DNS can point a browser at a Unix socket.
  if (request.caller.transport == Caller::Transport::unix_socket) return {};
  if (request.host_is_certified) return {};
  const std::string name = host_name(request.host);
  if (is_loopback_name(name)) return {};
  const auto is_name = [&](const std::string& allowed) { return lower(allowed) == name; };
  if (!name.empty() && std::ranges::any_of(view.config.admin.hosts, is_name)) return {};
  return problem(421, "host_not_allowed",
                 fmt::format("Host {} is not a name of this listener: use localhost or a loopback "
                             "address, or add the name to admin.hosts in {}.",
                             routing::in_quotes(request.host), view.config.file));
}

std::optional<Reply> refuse_cross_site(const Request& request) {
  const auto refusal = [](std::string_view field, std::string_view value) {
    return problem(403, "cross_site",
                   fmt::format("{} is {}: web pages of other sites may not use this API.", field,
                               routing::in_quotes(value)));
  };
  const std::string_view scheme =
      request.caller.transport == Caller::Transport::tls ? "https://" : "http://";
  if (request.origin && lower(*request.origin) != std::string(scheme) + lower(request.host))
    return refusal("Origin", *request.origin);
  if (request.sec_fetch_site) {
    const std::string site = lower(*request.sec_fetch_site);
    if (site != "none" && site != "same-origin")
      return refusal("Sec-Fetch-Site", *request.sec_fetch_site);
  }
  return {};
}

// Why nobody is anybody here, and what would help.
std::string sentence_for(const Request& request, const View& view) {
  const std::string& file = view.config.file;
  switch (request.identity.failure) {
    case AuthFailure::none:
      break;
    case AuthFailure::no_credentials:
      return "Who calls over TLS shows a token (-H 'Authorization: Bearer slc_…') or a "
             "certificate.";
    case AuthFailure::unknown_scheme:
      return "Authorization is not of the form `Bearer slc_…`.";
    case AuthFailure::unknown_token:
      return view.config.admin.tokens_file.empty()
                 ? fmt::format("No token is known here: there is no admin.tokens_file in {}.", file)
                 : "The token is not known here, or not any more.";
    case AuthFailure::expired_token:
      return fmt::format("The token {} of {} has expired: `sluice token create` makes another.",
                         request.identity.token_id, request.identity.name);
    case AuthFailure::unknown_certificate:
      return fmt::format("No name of the certificate is listed under [admin.certificates] in {}.",
                         file);
    case AuthFailure::expired_certificate:
      return fmt::format("The certificate of {} has expired.", request.identity.name);
    case AuthFailure::unknown_user:
      return "The kernel did not say which user is calling, so nothing is allowed. Use the Unix "
             "socket of the admin listener, where it always does, or show a token.";
    case AuthFailure::user_not_listed:
      return fmt::format(
          "User {0} may not use this API: root and user {1} (Sluice's own) may. To allow it, add "
          "{0} to [admin.users] in {2}, with its role.",
          request.caller.uid.value_or(0), view.process.uid, file);
    case AuthFailure::not_local:
      return fmt::format(
          "This listener answers on this machine only: Unix sockets and loopback "
          "addresses. The call came from {}.",
          request.caller.address);
  }
  SLUICE_CHECK(!"a caller who is known");
  return {};
}

std::string_view code_for(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::unknown_user:
      return "unknown_caller";
    case AuthFailure::user_not_listed:
      return "uid_not_allowed";
    default:
      return word_for(failure);
  }
}

std::optional<Reply> refuse_identity(const Request& request, const View& view) {
  const AuthFailure failure = request.identity.failure;
  if (failure == AuthFailure::none) return {};
  const bool token_would_help = asks_for_token(failure);
  Reply reply =
      problem(token_would_help ? 401 : 403, code_for(failure), sentence_for(request, view));
  if (!token_would_help) return reply;
  const bool shown = failure == AuthFailure::unknown_token || failure == AuthFailure::expired_token;
  reply.fields.emplace_back(
      "WWW-Authenticate",
      shown ? "Bearer realm=\"sluice\", error=\"invalid_token\"" : "Bearer realm=\"sluice\"");
  return reply;
}

}  // namespace

std::string host_name(std::string_view authority) {
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return {};
  std::string name = lower(authority.substr(0, authority.find(':', bracket)));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

std::optional<Reply> refuse_access(const Request& request, const View& view) {
  if (auto refusal = refuse_host(request, view)) return refusal;
  if (auto refusal = refuse_cross_site(request)) return refusal;
  return refuse_identity(request, view);
}

}  // namespace sluice::admin

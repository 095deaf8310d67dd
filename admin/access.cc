#include "admin/access.h"

#include <fmt/core.h>

#include <algorithm>

#include "admin/problem.h"
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

// An authority's host: no port, lower case, without the root's dot.
std::string host_name(std::string_view authority) {
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return {};
  std::string name = lower(authority.substr(0, authority.find(':', bracket)));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_loopback_name(const std::string& name) {
  if (name == "localhost") return true;
  const std::optional<Address> address = Address::parse(name + ":0");
  return address && address->is_loopback();
}

std::optional<Reply> refuse_host(const Request& request, const View& view) {
  // Nobody's DNS can point a browser at a Unix socket.
  if (request.caller.transport == Caller::Transport::unix_socket) return {};
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
  if (request.origin && lower(*request.origin) != "http://" + lower(request.host))
    return refusal("Origin", *request.origin);
  if (request.sec_fetch_site) {
    const std::string site = lower(*request.sec_fetch_site);
    if (site != "none" && site != "same-origin")
      return refusal("Sec-Fetch-Site", *request.sec_fetch_site);
  }
  return {};
}

std::optional<Reply> refuse_uid(const Request& request, const View& view) {
  if (request.caller.transport == Caller::Transport::other) {
    return problem(403, "not_local",
                   fmt::format("This API answers on this machine only: Unix sockets and loopback "
                               "addresses. The call came from {}.",
                               request.caller.address));
  }
  if (!request.caller.uid) {
    return problem(403, "unknown_caller",
                   "The kernel did not say which user is calling, so nothing is allowed. Use the "
                   "Unix socket of the admin listener, where it always does.");
  }
  const std::uint32_t uid = *request.caller.uid;
  if (uid == 0 || uid == view.process.uid) return {};
  if (std::ranges::find(view.config.admin.uids, uid) != view.config.admin.uids.end()) return {};
  return problem(403, "uid_not_allowed",
                 fmt::format("User {} may not use this API: root and user {} (Sluice's own) may. "
                             "To allow it, add {} to admin.uids in {}.",
                             uid, view.process.uid, uid, view.config.file));
}

}  // namespace

std::optional<Reply> refuse_access(const Request& request, const View& view) {
  if (auto refusal = refuse_host(request, view)) return refusal;
  if (auto refusal = refuse_cross_site(request)) return refusal;
  return refuse_uid(request, view);
}

}  // namespace sluice::admin

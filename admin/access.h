// Who may use the admin listener: the first thing asked of every request, read or write.
//
// Three rules, each with a refusal that says what was seen and how to allow it:
//   Host          over TCP, a loopback name or address, one of `admin.hosts`, or over TLS one of
//                 the certificate's, else 421: a name that someone else's DNS points here
//                 (rebinding) gets nothing;
//   no web pages  an Origin that is not this listener's own, or a Sec-Fetch-Site other than `none`
//                 or `same-origin`, gets 403;
//   somebody      whom identify() (identity.h) knows, else 401 where a token would help, or 403.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/api.h"

namespace sluice::admin {

// nullopt: allowed, as far as that is known before the call is looked at.
std::optional<Reply> refuse_access(const Request& request, const View& view);

// An authority's host: no port, lower case, without the root's dot.
std::string host_name(std::string_view authority);

}  // namespace sluice::admin

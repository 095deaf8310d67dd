// Who may use the admin listener: the first thing asked of every request, read or write.
//
// Three rules, each with a refusal that says what was seen and how to allow it:
//   Host          over TCP, a loopback name or address or one of `admin.hosts`, else 421: a name
//                 that someone else's DNS points here (rebinding) gets nothing;
//   no web pages  an Origin that is not this listener's own, or a Sec-Fetch-Site other than `none`
//                 or `same-origin`, gets 403;
//   uid           root, Sluice's own, or one of `admin.uids`, else 403; unknown is refused.
#pragma once

#include <optional>

#include "admin/api.h"

namespace sluice::admin {

// nullopt: allowed.
std::optional<Reply> refuse_access(const Request& request, const View& view);

}  // namespace sluice::admin

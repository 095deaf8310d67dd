// The one form of a request's path that is routed, forwarded and logged (RFC 3986 §6.2.2;
// docs/paths.md says what is changed, what is refused, and why). Pure.
//
// Whoever makes a RequestHead calls normalize_target() once, before anyone reads the target: the
// HTTP/1 parser for request-targets, HTTP/2's section reader for :path. Nothing behind them changes
// or judges a path again.
#pragma once

#include <string>

#include "proxy/http/message.h"

namespace sluice::http {

// `target`: '/' path ["?" query], or "*", which only OPTIONS may ask for; never CONNECT's. What
// needs no change costs one scan. The query is checked and left as it came.
//
// Returns nullptr, and `target` is normalised; or why it is refused (static storage; a 400), and
// `target` is as it came, for the log. Normalising twice changes nothing.
const char* normalize_target(Method method, std::string& target);

}  // namespace sluice::http

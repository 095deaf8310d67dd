// RequestWish: what a request says of the backend that it wants or is bound to, read from its head
// for one attempt, by the revision that makes it. Pure; the exchange asks, the Picker decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "proxy/data/sticky_cookie.h"
#include "proxy/data/stream.h"
#include "proxy/http/message.h"
#include "routing/picker.h"

namespace sluice::proxy {

struct RequestWish {
  routing::Wish wish;
  // A field that may force a backend names one that is not to be had: a 400 that says so.
  std::optional<std::string> refusal;
  const conf::StickyWay* bound_by = nullptr;  // by what its key was made; the route's own
  // It has no key, and is to get a cookie with one of the backend that its ticket gives it.
  bool wants_cookie = false;
  // Its cookie is good, but is to be made anew: half its time is over, or its secret is an old one.
  bool renew_cookie = false;
  bool cookie_refused = false;  // it brought one that is not good
};

// `keys`: of the route's key file; null: cookies are neither taken nor given.
RequestWish read_wish(const conf::Route& config, const routing::SnapshotRoute& route,
                      const http::RequestHead& head, const ClientInfo& client,
                      const StickyKeys* keys, WallTime now);

// The value of the first cookie of that name in the request; nullopt: there is none.
std::optional<std::string_view> find_cookie(const http::Fields& fields, std::string_view name);
// What binds a request by a header or its client: SHA-256's first four bytes.
routing::StickyKey key_of(std::string_view text);
// The value of a Set-Cookie field. `tls`: the client's connection is.
std::string set_cookie(const conf::Route& config, std::string_view value, bool tls);

}  // namespace sluice::proxy

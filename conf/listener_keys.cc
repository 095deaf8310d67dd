#include "conf/listener_keys.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "conf/bound_keys.h"
#include "conf/kinds.h"

namespace sluice::conf {
namespace {

Section<TlsListener> tls_section() {
  return Section(TlsListener{})
      .required(
          "certificate_file", file_path(),
          [](TlsListener& tls, std::string path) { tls.certificate_file = std::move(path); },
          "The certificate chain, PEM, the listener's own certificate first")
      .required(
          "key_file", file_path(),
          [](TlsListener& tls, std::string path) { tls.key_file = std::move(path); },
          "The private key of the first certificate, PEM")
      .value_as(
          "min_version", choice({"1.3", "1.2"}),
          [](const TlsListener& tls) { return std::string(tls.allow_tls12 ? "1.2" : "1.3"); },
          [](TlsListener& tls, const std::string& version) { tls.allow_tls12 = version == "1.2"; },
          "The oldest TLS version that clients may use");
}

void set_protocols(Listener& listener, const std::vector<HttpVersion>& protocols) {
  listener.http1 = std::ranges::find(protocols, HttpVersion::http1) != protocols.end();
  listener.http2 = std::ranges::find(protocols, HttpVersion::http2) != protocols.end();
}

}  // namespace

Section<Listener> listener_section() {
  return Section(Listener{})
      .required(
          "address", address(AddressUse::data_listener),
          [](Listener& listener, const Address& address) { listener.address = address; },
          "Where clients connect; `*:PORT` is all IPv4 addresses, `[::]:PORT` all IPv6 ones, "
          "`unix:/PATH` a Unix socket")
      // Before `protocols`, whose default it sets.
      .table(
          "tls", tls_section(),
          [](Listener& listener, const Entry& entry) -> TlsListener& {
            listener.http2 = true;
            TlsListener& tls = listener.tls.emplace();
            tls.line = entry.at.line;
            return tls;
          },
          "Clients of this listener speak TLS; without this table plain HTTP")
      .optional("protocols", http_versions(), set_protocols,
                "What clients may speak, `\"http/1.1\"` and `\"h2\"`; without it both over TLS, "
                "and only `\"http/1.1\"` without TLS")
      .value("trusted_proxies", block_list(), &Listener::trusted_proxies,
             "Peers whose X-Forwarded-For, -Proto and -Host are believed")
      .value("proxy_protocol_from", block_list(), &Listener::proxy_protocol_from,
             "Peers that begin each connection with a PROXY header, and must; from others it is "
             "refused")
      .value("forwarded",
             word_for<ForwardedFields>({{"both", ForwardedFields::both},
                                        {"x-forwarded", ForwardedFields::x_forwarded},
                                        {"forwarded", ForwardedFields::forwarded}}),
             &Listener::forwarded,
             "How servers are told who the client is: in X-Forwarded-* fields, in Forwarded, or in "
             "both")
      .optional(
          "health_path", path_prefix(),
          [](Listener& listener, std::string path) { listener.health_path = std::move(path); },
          "A path that is answered here, for checkers outside: 200 while the process is ready, 503 "
          "while it starts or drains; no route gets it. Without it none")
      .table(
          "timeouts", timeouts_section(Level::listener),
          [](Listener& listener, const Entry&) -> Timeouts& { return listener.timeouts; },
          "What this listener's clients are given; what is not said here is as [timeouts] says")
      .table(
          "limits", limits_section(Level::listener),
          [](Listener& listener, const Entry&) -> Limits& { return listener.limits; },
          "What this listener's clients may use; what is not said here is as [limits] says");
}

}  // namespace sluice::conf

// What is spoken with clients and servers: protocols, TLS to servers, PROXY headers, Unix sockets,
// upgrades.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using Strings = std::vector<std::string>;

Strings errors_of(const std::string& text) {
  const auto config = parse(text, "f");
  Strings errors;
  if (config) return errors;
  for (const ConfigError& error : config.error()) errors.push_back(error.to_string());
  return errors;
}

std::string with_listener(std::string_view keys) {
  return before_sound(fmt::format("[listeners.x]\naddress = \"127.0.0.1:0\"\n{}\n", keys));
}

std::string with_backend(std::string_view keys) {
  return before_sound(fmt::format("[backends.x]\nservers = [\"127.0.0.1:9009\"]\n{}\n", keys));
}

std::string with_route(std::string_view keys) {
  return before_sound(fmt::format("[routes.x]\npath = \"/x\"\nsplit.blue = 1\n{}\n", keys));
}

Config sound(const std::string& text) {
  const auto config = parse(text, "/etc/sluice.toml");
  EXPECT_TRUE(config) << text << (config ? "" : config.error()[0].to_string());
  return config.value_or(Config{});
}

Listener listener(std::string_view keys) {
  return sound(with_listener(keys)).listeners.at(0);
}

Backend backend(std::string_view keys) {
  return sound(with_backend(keys)).backends.at(0);
}

TEST(Protocols, DefaultDependsOnTls) {
  const std::string tls = "tls = { certificate_file = \"c\", key_file = \"k\" }";
  const struct {
    std::string keys;
    bool http1;
    bool http2;
  } cases[] = {
      {"", true, false},
      {tls, true, true},
      {"protocols = [\"http/1.1\"]", true, false},
      {"protocols = [\"h2\"]", false, true},
      {"protocols = [\"h2\", \"http/1.1\"]", true, true},
      {tls + "\nprotocols = [\"http/1.1\"]", true, false},
      {"protocols = [\"http/1.1\"]\n" + tls, true, false},
      {tls + "\nprotocols = [\"h2\"]", false, true},
  };
  for (const auto& [keys, http1, http2] : cases) {
    EXPECT_EQ(listener(keys).http1, http1) << keys;
    EXPECT_EQ(listener(keys).http2, http2) << keys;
  }
}

TEST(Protocols, WrongOnesAreExplained) {
  const struct {
    std::string list;
    std::string error;
  } cases[] = {
      {"[]",
       "f:3:13: listeners.x.protocols is empty: name \"http/1.1\", \"h2\" or both, or leave the "
       "key out"},
      {"[\"h2\", \"h2\"]", "f:3:20: listeners.x.protocols names \"h2\" twice"},
      {"[\"http/2\"]",
       "f:3:14: listeners.x.protocols is \"http/2\" but must be \"http/1.1\" or \"h2\" (did you "
       "mean \"h2\"?)"},
      {"[\"H2\"]",
       "f:3:14: listeners.x.protocols is \"H2\" but must be \"http/1.1\" or \"h2\" (did you mean "
       "\"h2\"?)"},
      {"[\"h2c\"]",
       "f:3:14: listeners.x.protocols is \"h2c\" but must be \"http/1.1\" or \"h2\" (did you mean "
       "\"h2\"?)"},
      {"[\"http1\"]",
       "f:3:14: listeners.x.protocols is \"http1\" but must be \"http/1.1\" or \"h2\" (did you "
       "mean \"http/1.1\"?)"},
      {"[\"h3\"]", "f:3:14: listeners.x.protocols is \"h3\" but must be \"http/1.1\" or \"h2\""},
      {"\"h2\"",
       "f:3:13: listeners.x.protocols must be a list of protocols, in brackets, not a string"},
      {"[2]", "f:3:14: listeners.x.protocols must be \"http/1.1\" or \"h2\", not an integer"},
  };
  for (const auto& [list, error] : cases) {
    EXPECT_EQ(errors_of(with_listener("protocols = " + list)), Strings{error});
  }
}

TEST(Protocols, OfServersAreOneWord) {
  EXPECT_EQ(backend("").protocol, HttpVersion::http1);
  EXPECT_EQ(backend("protocol = \"h2\"").protocol, HttpVersion::http2);
  EXPECT_EQ(backend("protocol = \"http/1.1\"").protocol, HttpVersion::http1);
  EXPECT_EQ(errors_of(with_backend("protocol = \"grpc\"")),
            Strings{"f:3:12: backends.x.protocol is \"grpc\" but must be \"http/1.1\" or \"h2\" "
                    "(did you mean \"h2\"?)"});
  EXPECT_EQ(errors_of(with_backend("protocols = [\"h2\"]")),
            Strings{"f:3:1: unknown key \"protocols\" in [backends.x] (did you mean "
                    "\"protocol\"?)"});
}

TEST(ProxyHeaders, AreTakenFromListedPeersOnly) {
  EXPECT_TRUE(listener("").proxy_protocol_from.empty());
  const auto from =
      listener("proxy_protocol_from = [\"10.0.0.0/8\", \"unix\"]").proxy_protocol_from;
  ASSERT_EQ(from.size(), 2u);
  const Address unix_peer{.family = Address::Family::unix_path};
  EXPECT_TRUE(from[0].contains(*Address::parse("10.1.2.3:4")));
  EXPECT_FALSE(from[0].contains(unix_peer));
  EXPECT_TRUE(from[1].contains(unix_peer));
  EXPECT_FALSE(from[1].contains(*Address::parse("10.1.2.3:4")));
  EXPECT_FALSE(from[1].contains(*Address::parse("[::]:4")));
}

TEST(ProxyHeaders, ToServersNeedAConnectionPerClient) {
  EXPECT_EQ(backend("").send_proxy_protocol, ProxyProtocol::off);
  EXPECT_EQ(backend("send_proxy_protocol = \"v1\"").send_proxy_protocol, ProxyProtocol::v1);
  EXPECT_EQ(backend("send_proxy_protocol = \"v2\"").send_proxy_protocol, ProxyProtocol::v2);
  sound(with_backend("send_proxy_protocol = \"off\"\nprotocol = \"h2\""));
  EXPECT_EQ(errors_of(with_backend("protocol = \"h2\"\nsend_proxy_protocol = \"v2\"")),
            Strings{"f:4:23: backends.x.send_proxy_protocol is not possible with protocol = "
                    "\"h2\": one connection carries the requests of many clients, and a PROXY "
                    "header could name only one"});
  EXPECT_EQ(errors_of(with_backend("send_proxy_protocol = \"v3\"")),
            Strings{"f:3:23: backends.x.send_proxy_protocol is \"v3\" but must be \"off\" or "
                    "\"v1\" or \"v2\" (did you mean \"v1\"?)"});
  EXPECT_EQ(errors_of(with_backend("send_proxy_protocol = true")),
            Strings{"f:3:23: backends.x.send_proxy_protocol must be \"off\" or \"v1\" or \"v2\", "
                    "not true or false"});
}

TEST(Forwarded, IsWrittenInTheWayThatIsAsked) {
  EXPECT_EQ(listener("").forwarded, ForwardedFields::both);
  EXPECT_EQ(listener("forwarded = \"both\"").forwarded, ForwardedFields::both);
  EXPECT_EQ(listener("forwarded = \"x-forwarded\"").forwarded, ForwardedFields::x_forwarded);
  EXPECT_EQ(listener("forwarded = \"forwarded\"").forwarded, ForwardedFields::forwarded);
  EXPECT_EQ(errors_of(with_listener("forwarded = \"x-forwardet\"")),
            Strings{"f:3:13: listeners.x.forwarded is \"x-forwardet\" but must be \"both\" or "
                    "\"x-forwarded\" or \"forwarded\" (did you mean \"x-forwarded\"?)"});
}

TEST(BackendTls, IsReadWithPathsFromTheFilesFolder) {
  EXPECT_FALSE(backend("").tls);
  const Backend full =
      backend("[backends.x.tls]\nca_file = \"ca.pem\"\nserver_name = \"App.Internal\"");
  ASSERT_TRUE(full.tls);
  EXPECT_EQ(*full.tls,
            (BackendTls{.ca_file = "/etc/ca.pem", .server_name = "app.internal", .line = 3}));
  const Backend open = backend("tls = { verify = false }");
  ASSERT_TRUE(open.tls);
  EXPECT_FALSE(open.tls->verify);
  EXPECT_TRUE(backend("tls = { verify = false, server_name = \"a\" }").tls);
}

TEST(BackendTls, IsCheckedAgainstSomethingOrOpenlyNot) {
  EXPECT_EQ(errors_of(with_backend("[backends.x.tls]")),
            Strings{"f:3:13: the key backends.x.tls.ca_file is missing: certificates, PEM, of "
                    "those who may have signed the servers' own"});
  EXPECT_EQ(errors_of(with_backend("tls = { ca_file = \"c\", verify = false }")),
            Strings{"f:3:19: backends.x.tls.ca_file is of no use with verify = false; leave one "
                    "of them out"});
  // One error for a wrong path, not a second one for a missing key.
  EXPECT_EQ(errors_of(with_backend("tls = { ca_file = \"\" }")).size(), 1u);
}

TEST(BackendTls, UnixSocketsHaveNoNameOfTheirOwn) {
  const auto text = [](std::string_view tls) {
    return before_sound(
        fmt::format("[backends.x]\nservers = [\"127.0.0.1:1\", \"unix:/run/x\"]\ntls = {}\n", tls));
  };
  EXPECT_EQ(errors_of(text("{ ca_file = \"c\" }")),
            Strings{"f:3:1: the key backends.x.tls.server_name is missing: unix:/run/x has no "
                    "address that a certificate could be for"});
  sound(text("{ ca_file = \"c\", server_name = \"x\" }"));
  sound(text("{ verify = false }"));
}

TEST(BackendTls, NamesAreThoseOfCertificates) {
  for (const char* name :
       {"localhost", "app.internal", "10.0.0.1", "::1", "2001:db8::1", "a-b.c1"}) {
    EXPECT_EQ(backend(fmt::format("tls = {{ ca_file = \"c\", server_name = \"{}\" }}", name))
                  .tls->server_name,
              name);
  }
  const std::pair<std::string, std::string> cases[] = {
      {"", "it is empty"},
      {"[::1]", "an IPv6 address stands without brackets (did you mean \"::1\"?)"},
      {"10.0.0.256", "it is neither an IP address nor a DNS name, which doesn't end with a number"},
      {"*.internal", "wildcards are not possible here"},
      {"app.internal:443", "leave the port out (did you mean \"app.internal\"?)"},
      {"https://app.internal", "leave the scheme out (did you mean \"app.internal\"?)"},
      {"app.internal.", "leave the last dot out (did you mean \"app.internal\"?)"},
      {"a b", "a host has letters, digits, '-', '_' and single dots"},
  };
  for (const auto& [name, why] : cases) {
    EXPECT_EQ(errors_of(with_backend(
                  fmt::format("tls = {{ ca_file = \"c\", server_name = \"{}\" }}", name))),
              Strings{fmt::format("f:3:38: backends.x.tls.server_name: \"{}\" is no name that a "
                                  "certificate can be for: {}",
                                  name, why)});
  }
}

TEST(UnixSockets, AreForListenersAndServers) {
  const Config config = sound(before_sound(R"([listeners.x]
address = "unix:/run/http.sock"
tls = { certificate_file = "c", key_file = "k" }
[backends.list]
servers = ["unix:/run/app.sock", "127.0.0.1:9003"]
[backends.table.servers]
one = "unix:/run/one.sock"
)"));
  EXPECT_EQ(config.listeners[0].address.to_string(), "unix:/run/http.sock");
  EXPECT_EQ(config.backends[0].servers[0].name, "unix:/run/app.sock");
  EXPECT_EQ(config.backends[0].servers[0].address.path, "/run/app.sock");
  EXPECT_EQ(config.backends[1].servers[0].name, "one");
}

TEST(Upgrades, AreAListOfWhatCanBePassedThrough) {
  const auto route = [](std::string_view keys) { return sound(with_route(keys)).routes.at(0); };
  EXPECT_EQ(route("").upgrades, Strings{"websocket"});
  EXPECT_EQ(route("upgrades = [\"websocket\"]").upgrades, Strings{"websocket"});
  EXPECT_TRUE(route("upgrades = []").upgrades.empty());
  EXPECT_FALSE(route("").allow_connect);
  EXPECT_TRUE(route("connect = true").allow_connect);
  EXPECT_EQ(errors_of(with_route("upgrades = [\"h2c\"]")),
            Strings{"f:4:13: routes.x.upgrades is \"h2c\" but must be \"websocket\""});
  EXPECT_EQ(errors_of(with_route("upgrades = [\"WebSocket\"]")),
            Strings{"f:4:13: routes.x.upgrades is \"WebSocket\" but must be \"websocket\" (did "
                    "you mean \"websocket\"?)"});
  EXPECT_EQ(errors_of(with_route("upgrades = true")),
            Strings{"f:4:12: routes.x.upgrades must be a list of protocols, in brackets, not true "
                    "or false"});
}

}  // namespace
}  // namespace sluice::conf

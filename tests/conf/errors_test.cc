// Every error of meaning: where it is shown, what it says, which word it offers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

std::vector<std::string> errors_of(std::string_view text) {
  const auto config = parse(text, "f");
  std::vector<std::string> errors;
  if (config) return errors;
  for (const ConfigError& error : config.error()) errors.push_back(error.to_string());
  return errors;
}

using Strings = std::vector<std::string>;

struct Case {
  std::string text;
  std::string error;  // the only one
};

void expect_each(const std::vector<Case>& cases) {
  for (const auto& [text, error] : cases) EXPECT_EQ(errors_of(text), Strings{error}) << text;
}

std::string with_route(std::string_view keys) {
  return std::string(kWithoutRoutes) + fmt::format("[routes.app]\n{}\n", keys);
}

std::string with_servers(std::string_view servers) {
  return before_sound(fmt::format("[backends.x]\nservers = {}\n", servers));
}

std::string with_address(std::string_view address) {
  return before_sound(fmt::format("[listeners.x]\naddress = {}\n", address));
}

std::string with_admin(std::string_view line) {
  return before_sound(fmt::format("[admin]\n{}\n", line));
}

TEST(ConfigErrors, PrintWithWhatTheyHave) {
  EXPECT_EQ((ConfigError{"f", 3, 7, "wrong", "right"}.to_string()),
            "f:3:7: wrong (did you mean \"right\"?)");
  EXPECT_EQ((ConfigError{"f", 3, 7, "wrong", ""}.to_string()), "f:3:7: wrong");
  EXPECT_EQ((ConfigError{"f", 3, 0, "wrong", ""}.to_string()), "f:3: wrong");
  EXPECT_EQ((ConfigError{"f", 0, 0, "wrong", ""}.to_string()), "f: wrong");
}

TEST(ConfigErrors, UnknownKeysNameTheNearestOrAllKnown) {
  expect_each({
      {before_sound("[timeout]\nconnect = \"3s\"\n"),
       "f:1:2: unknown key \"timeout\" (did you mean \"timeouts\"?)"},
      {before_sound("[timeouts]\n  conect = \"3s\"\n"),
       "f:2:3: unknown key \"conect\" in [timeouts] (did you mean \"connect\"?)"},
      {before_sound("[timeouts]\nIDLE = \"3s\"\n"),
       "f:2:1: unknown key \"IDLE\" in [timeouts] (did you mean \"idle\"?)"},
      {before_sound("[access_log]\nformat = \"json\"\n"),
       "f:2:1: unknown key \"format\" in [access_log]; known are enabled, path"},
      {before_sound("[listeners.a]\naddress = \"*:0\"\n[listeners.a.tsl]\n"),
       "f:3:14: unknown key \"tsl\" in [listeners.a] (did you mean \"tls\"?)"},
      {before_sound("[timeouts]\n\"\\u001b[2J\" = 1\n"),
       "f:2:1: unknown key \"\\x1b[2J\" in [timeouts]; known are connect, tls_handshake, "
       "request_head, response_head, idle, backend_idle, stream, exchange"},
  });
}

TEST(ConfigErrors, AnEmptyFileLacksEverythingThatIsRequired) {
  EXPECT_EQ(errors_of(""),
            (Strings{"f:1:1: the table backends is missing: named sets of interchangeable servers",
                     "f:1:1: the table listeners is missing: where clients connect",
                     "f:1:1: the table routes is missing: which requests go to which backends, by "
                     "host and path"}));
}

TEST(ConfigErrors, MissingKeysAreNamedWhereTheirTableStands) {
  expect_each({
      {before_sound("[listeners.a]\n"),
       "f:1:12: the key listeners.a.address is missing: where clients connect; `*:PORT` is all "
       "IPv4 addresses, `[::]:PORT` all IPv6 ones, `unix:/PATH` a Unix socket"},
      {before_sound("[backends.a]\n"),
       "f:1:11: the key backends.a.servers is missing: where the backend's servers listen, "
       "IP:PORT or unix:/PATH; a table gives them names, and may give them weights"},
      {with_route(""),
       "f:7:9: the key routes.app.split is missing: the weight of each backend: not negative, any "
       "sum, at most six digits behind the point"},
      {before_sound("[listeners.a]\naddress = \"*:0\"\ntls = { key_file = \"k\" }\n"),
       "f:3:1: the key listeners.a.tls.certificate_file is missing: the certificate chain, PEM, "
       "the listener's own certificate first"},
  });
}

TEST(ConfigErrors, WrongTypesSayWhatWouldBeRight) {
  expect_each({
      {before_sound("timeouts = 3\n"), "f:1:12: timeouts must be a table, not an integer"},
      {before_sound("[[health]]\n"), "f:1:1: health must be a table, not a list"},
      {before_sound("[listeners]\na = \"*:80\"\n"),
       "f:2:5: listeners.a must be a table, not a string"},
      {with_address("80"),
       "f:2:11: listeners.x.address must be an address like \"127.0.0.1:8080\", in quotes, not an "
       "integer"},
      {before_sound("[access_log]\nenabled = \"yes\"\n"),
       "f:2:11: access_log.enabled must be true or false, without quotes, not a string"},
      {before_sound("[access_log]\npath = 1979-05-27\n"),
       "f:2:8: access_log.path must be a path, in quotes, not a date or time"},
      {with_servers("\"127.0.0.1:1\""),
       "f:2:11: backends.x.servers must be a list of addresses or a table of names and addresses, "
       "not a string"},
      {with_admin("listen = \"127.0.0.1:0\""),
       "f:2:10: admin.listen must be a list of addresses, in brackets, not a string"},
      {with_route("split = \"blue\""),
       "f:8:9: routes.app.split must be a table of backends and weights like { blue = 90, green = "
       "10 }, not a string"},
      {with_route("split = { blue = true }"),
       "f:8:18: routes.app.split.blue must be a weight like 90 or \"0.5\", not true or false"},
      {before_sound("[health]\nstatus = 200.0\n"),
       "f:2:10: health.status must be a status or a range like \"200-299\", not a number with a "
       "fraction"},
  });
}

TEST(ConfigErrors, NamesAreLowerCaseAndShort) {
  const std::string rule = " can't be a name: use 1 to 64 of a-z, 0-9, '.', '_', '-'";
  const std::string long_name(65, 'x');
  expect_each({
      {before_sound("[backends.Blue-2]\nservers = [\"127.0.0.1:1\"]\n"),
       "f:1:11: backends: \"Blue-2\"" + rule + " (did you mean \"blue-2\"?)"},
      {before_sound("[listeners.\"web site\"]\naddress = \"*:0\"\n"),
       "f:1:12: listeners: \"web site\"" + rule + " (did you mean \"web-site\"?)"},
      {before_sound("[backends.\"\"]\nservers = [\"127.0.0.1:1\"]\n"),
       "f:1:11: backends: \"\"" + rule},
      {before_sound("[backends." + long_name + "]\nservers = [\"127.0.0.1:1\"]\n"),
       "f:1:11: backends: \"" + long_name + "\"" + rule + " (did you mean \"" +
           long_name.substr(1) + "\"?)"},
      {with_servers("{ \"WEB\" = \"127.0.0.1:1\" }"),
       "f:2:13: backends.x.servers: \"WEB\"" + rule + " (did you mean \"web\"?)"},
  });
}

TEST(ConfigErrors, ListenAddressesAreExplained) {
  const auto error = [](const std::string& text, const std::string& why) {
    return Case{with_address("\"" + text + "\""),
                fmt::format("f:2:11: listeners.x.address: \"{}\" can't be used: {}", text, why)};
  };
  expect_each({
      error("8080", "the IP address is missing (did you mean \"*:8080\"?)"),
      error(":8080", "the IP address is missing (did you mean \"*:8080\"?)"),
      error("127.0.0.1", "the port is missing (did you mean \"127.0.0.1:80\"?)"),
      error("::1", "the port is missing (did you mean \"[::1]:80\"?)"),
      error("::1:x", "a port is a number from 0 to 65535"),
      error("fe80::1%eth0:80",
            "an IPv6 address stands in brackets (did you mean "
            "\"[fe80::1%eth0]:80\"?)"),
      error("127.0.0.1:65536", "a port is a number from 0 to 65535"),
      error("127.0.0.256:80", "\"127.0.0.256\" is not an IP address"),
      error("https://127.0.0.1:80/x", "leave the scheme out (did you mean \"127.0.0.1:80\"?)"),
      error("", "write IP:PORT"),
      error("locahost:80",
            "names are not resolved yet, write the IP address (did you mean \"localhost:80\"?)"),
      error("/run/x.sock",
            "a Unix socket is written unix:/PATH (did you mean "
            "\"unix:/run/x.sock\"?)"),
      error("unix:run/x.sock", "the path of a Unix socket is absolute and at most 107 bytes long"),
  });
}

TEST(ConfigErrors, ServerAddressesAreExplained) {
  const auto error = [](const std::string& text, const std::string& why) {
    return Case{with_servers("[\"" + text + "\"]"),
                fmt::format("f:2:12: backends.x.servers: \"{}\" can't be used: {}", text, why)};
  };
  expect_each({
      error("blue.internal:80", "names are not resolved yet, write the IP address"),
      error("9001", "the IP address is missing (did you mean \"127.0.0.1:9001\"?)"),
      error("127.0.0.1:0", "a server's port is from 1 to 65535"),
      error("0.0.0.0:80", "that means all addresses, write the server's own"),
      error("[::]:80", "that means all addresses, write the server's own"),
      error("/run/x", "a Unix socket is written unix:/PATH (did you mean \"unix:/run/x\"?)"),
  });
}

TEST(ConfigErrors, EveryBackendHasServersEachOnce) {
  expect_each({
      {with_servers("[]"), "f:2:11: backends.x.servers has 0 servers; a backend has 1 to 1024"},
      {with_servers("{}"), "f:2:11: backends.x.servers has 0 servers; a backend has 1 to 1024"},
      {with_servers("[\"127.0.0.1:1\", \"127.0.0.1:2\", \"localhost:1\"]"),
       "f:2:42: backends.x.servers names 127.0.0.1:1 twice"},
      {with_servers("{ a = \"127.0.0.1:1\", b = \"127.0.0.1:1\" }"),
       "f:2:36: backends.x.servers names 127.0.0.1:1 twice"},
  });
}

TEST(ConfigErrors, AdminListensOnlyWhereTheCallerIsKnown) {
  expect_each({
      {with_admin("listen = [\"0.0.0.0:9901\"]"),
       "f:2:11: admin.listen: 0.0.0.0:9901 is beyond this machine, where callers come over TLS and "
       "show a token or a certificate; missing: [admin.tls] with certificate_file and key_file; "
       "admin.tokens_file, or admin.tls.client_ca_file with [admin.certificates]"},
      {with_admin("listen = [\"unix:admin.sock\"]"),
       "f:2:11: admin.listen: \"unix:admin.sock\" can't be used: the path of a Unix socket is "
       "absolute and at most 107 bytes long"},
      {with_admin("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]"),
       "f:2:26: admin.listen names \"127.0.0.1:0\" twice"},
      {with_admin("read_only_listen = [\"unix:/run/x\"]"),
       "f:2:21: admin.read_only_listen: \"unix:/run/x\" can't be used: a Unix socket is not "
       "possible here, write IP:PORT"},
      {with_admin("uids = [-1]"), "f:2:9: admin.uids is -1 but must be from 0 to 4294967294"},
      {with_admin("hosts = [\"admin.example:9901\"]"),
       "f:2:10: admin.hosts: \"admin.example:9901\" is not a host: leave the port out (did you "
       "mean \"admin.example\"?)"},
  });
  EXPECT_EQ(errors_of(with_admin("read_only_listen = [\"0.0.0.0:9902\", \"[::1]:0\"]")), Strings{});
  EXPECT_EQ(errors_of(with_admin("listen = [\"unix:/run/x\", \"[::1]:9901\", \"127.0.0.2:1\"]")),
            Strings{});
}

TEST(ConfigErrors, NoTwoPartsListenInOnePlace) {
  expect_each({
      {before_sound("[listeners.a]\naddress = \"127.0.0.1:80\"\n[listeners.b]\naddress = "
                    "\"127.0.0.1:80\"\n"),
       "f:4:11: listeners.b.address: 127.0.0.1:80 is taken by listeners.a.address (127.0.0.1:80)"},
      {before_sound("[listeners.a]\naddress = \"*:80\"\n[listeners.b]\naddress = "
                    "\"127.0.0.1:80\"\n"),
       "f:4:11: listeners.b.address: 127.0.0.1:80 is taken by listeners.a.address (0.0.0.0:80)"},
      {with_address("\"*:9901\""),
       "f:2:11: listeners.x.address: 0.0.0.0:9901 is taken by admin.listen by default "
       "(127.0.0.1:9901)"},
      {with_admin("listen = [\"127.0.0.1:9902\"]"),
       "f:2:11: admin.listen: 127.0.0.1:9902 is taken by admin.read_only_listen by default "
       "(127.0.0.1:9902)"},
      {with_admin("listen = [\"unix:/run/x\", \"127.0.0.1:7\"]\nread_only_listen = [\"*:7\"]"),
       "f:3:21: admin.read_only_listen: 0.0.0.0:7 is taken by admin.listen (127.0.0.1:7)"},
  });
  EXPECT_EQ(errors_of(before_sound("[listeners.a]\naddress = \"unix:/run/x\"\n[listeners.b]\n"
                                   "address = \"unix:/run/x\"\n")),
            Strings{"f:4:11: listeners.b.address: unix:/run/x is taken by listeners.a.address "
                    "(unix:/run/x)"});
  EXPECT_EQ(errors_of(with_address("\"[::1]:9901\"")), Strings{});
  EXPECT_EQ(errors_of(with_address("\"unix:/run/x\"")), Strings{});
}

TEST(ConfigErrors, AServerIsNotTheProxyItself) {
  const std::string listeners =
      "[listeners.x]\naddress = \"*:81\"\n[listeners.y]\naddress = \"10.0.0.1:82\"\n[backends.z]\n";
  expect_each({
      {before_sound(listeners + "servers = [\"127.0.0.1:82\", \"127.0.0.1:81\"]\n"),
       "f:6:28: backends.z.servers: 127.0.0.1:81 is listeners.x itself, requests would go round in "
       "circles"},
      {before_sound(listeners + "servers.a = \"10.0.0.1:82\"\n"),
       "f:6:13: backends.z.servers: 10.0.0.1:82 is listeners.y itself, requests would go round in "
       "circles"},
  });
  EXPECT_EQ(errors_of(before_sound("[listeners.x]\naddress = \"unix:/run/x\"\n[backends.z]\n"
                                   "servers = [\"unix:/run/y\", \"unix:/run/x\"]\n")),
            Strings{"f:4:27: backends.z.servers: unix:/run/x is listeners.x itself, requests would "
                    "go round in circles"});
  EXPECT_EQ(errors_of(before_sound(listeners + "servers = [\"10.0.0.2:81\", \"10.0.0.2:82\"]\n")),
            Strings{});
}

TEST(ConfigErrors, HostsAreExplained) {
  const auto error = [](const std::string& text, const std::string& why) {
    return Case{with_route("host = \"" + text + "\"\nsplit.blue = 1"),
                fmt::format("f:8:8: routes.app.host: \"{}\" is not a host: {}", text, why)};
  };
  expect_each({
      error("", "it is empty"),
      error("*", "leave the key out to mean any host"),
      error("*.*.x", "a wildcard stands for the first part alone, like \"*.example.com\""),
      error("a*.x", "a wildcard stands for the first part alone, like \"*.example.com\""),
      error("x.example:443", "leave the port out (did you mean \"x.example\"?)"),
      error("[::1]:443", "leave the port out (did you mean \"[::1]\"?)"),
      error("https://x.example:1/y", "leave the scheme out (did you mean \"x.example\"?)"),
      error("x.example/y", "a path does not belong here (did you mean \"x.example\"?)"),
      error("x.example.", "leave the last dot out (did you mean \"x.example\"?)"),
      error("x..y", "a host has letters, digits, '-', '_' and single dots"),
      error("a b", "a host has letters, digits, '-', '_' and single dots"),
      {with_route("host = \"b\xc3\xbcro.example\"\nsplit.blue = 1"),
       "f:8:8: routes.app.host: \"b\\xc3\\xbcro.example\" is not a host: write it in its ASCII "
       "form, which begins with xn--"},
      {with_route("hosts = [\"a\", \"A\"]\nsplit.blue = 1"),
       "f:8:15: routes.app.hosts names \"a\" twice"},
      {with_route("host = \"a\"\nhosts = [\"b\"]\nsplit.blue = 1"),
       "f:8:1: routes.app has both host and hosts; keep one of them"},
  });
}

TEST(ConfigErrors, PathPrefixesAreExplained) {
  const auto error = [](const std::string& text, const std::string& why) {
    return Case{with_route("path = \"" + text + "\"\nsplit.blue = 1"),
                fmt::format("f:8:8: routes.app.path: \"{}\" is not a path prefix: {}", text, why)};
  };
  expect_each({
      error("api", "it begins with a slash (did you mean \"/api\"?)"),
      error("/api/",
            "it ends without a slash and matches all that is below it (did you mean "
            "\"/api\"?)"),
      error("/api/*", "it is a prefix of whole segments, without a star (did you mean \"/api\"?)"),
      error("/*", "it is a prefix of whole segments, without a star (did you mean \"/\"?)"),
      error("//api", "it has an empty segment"),
      error("/a/../b", "it has a dot segment"),
      error("/a/.", "it has a dot segment"),
      error("/a/..;x", "it has a dot segment"),
      error("/a/%2e%2E", "it has a dot segment"),
      error("/a%2fb", "no request has an encoded slash, backslash or NUL"),
      error("/%61%c3%a9",
            "requests are matched with their encodings in one form (did you mean \"/a%C3%A9\"?)"),
      error("/a?b", "a query does not belong here (did you mean \"/a\"?)"),
      error("/a b", "\" \" must be percent-encoded"),
      error("/a%2", "\"%\" must be percent-encoded"),
  });
}

TEST(ConfigErrors, ProbesCannotCarryAnythingElse) {
  expect_each({
      {before_sound("[health]\npath = \"health\"\n"),
       "f:2:8: health.path: \"health\" is not a path: it begins with a slash (did you mean "
       "\"/health\"?)"},
      {before_sound("[health]\npath = \"/ HTTP/1.1\\r\\nX: y\"\n"),
       "f:2:8: health.path: \"/ HTTP/1.1\\x0d\\x0aX: y\" is not a path: \" \" must be "
       "percent-encoded"},
      {before_sound("[health]\nhost = \"a\\r\\nb\"\n"),
       "f:2:8: health.host: \"a\\x0d\\x0ab\" is not a host, with a port or without: a host has "
       "letters, digits, '-', '_' and single dots"},
      {before_sound("[health]\nhost = \"a:x\"\n"),
       "f:2:8: health.host: \"a:x\" is not a host, with a port or without: a port is a number from "
       "0 to 65535"},
  });
}

TEST(ConfigErrors, SplitsNameKnownBackends) {
  expect_each({
      {with_route("split = { blue = 1, gren = 2 }"),
       "f:8:21: routes.app.split: there is no backend \"gren\" (did you mean \"green\"?)"},
      {with_route("split = { canary = 1 }"),
       "f:8:11: routes.app.split: there is no backend \"canary\""},
      {with_route("split.blue = -1"),
       "f:8:14: routes.app.split.blue is -1: a weight is from 0 to 1000000000 with at most 6 "
       "digits behind the point"},
  });
}

TEST(ConfigErrors, WeightsAreExplained) {
  const std::string rule =
      "a weight is from 0 to 1000000000 with at most 6 digits behind the point";
  const std::pair<std::string, std::string> cases[] = {
      {"1e-7", "0.0000001: " + rule},
      {"0.1234567", "0.1234567: " + rule},
      {"inf", "inf: " + rule},
      {"nan", "nan: " + rule},
      {"-0.5", "-0.5: " + rule},
      {"1000000001", "1000000001: " + rule},
      {"\"90%\"", "\"90%\": " + rule + " (did you mean \"90\"?)"},
      {"\".5\"", "\".5\": " + rule},
      {"\"1e3\"", "\"1e3\": " + rule},
  };
  for (const auto& [weight, error] : cases) {
    EXPECT_EQ(errors_of(with_route("split.blue = " + weight)),
              Strings{"f:8:14: routes.app.split.blue is " + error});
  }
}

TEST(ConfigErrors, SplitsHaveSomeoneToAnswerAndAnOrderThatCanBeKept) {
  std::string many;
  for (int i = 0; i < 65; ++i) many += fmt::format("split.b{} = 1\n", i);
  expect_each({
      {with_route("split = {}"), "f:8:9: routes.app.split has 0 backends; a split has 1 to 64"},
      {with_route("split = { blue = 0, green = 0.0 }"),
       "f:8:9: routes.app.split: all weights are zero, so nobody would answer; raise one"},
      {with_route(many), "f:8:1: routes.app.split has 65 backends; a split has 1 to 64"},
  });
}

TEST(ConfigErrors, NoTwoRoutesClaimTheSame) {
  const std::string routes = "[routes.b]\nhosts = [\"x\", \"Y\"]\npath = \"/p\"\nsplit.blue = 1\n";
  expect_each({
      {with_route("split.blue = 1\n[routes.b]\nsplit.blue = 1"),
       "f:9:9: routes.b is for any host and /, which routes.app is for already; a request could go "
       "either way"},
      {with_route("path = \"/p\"\nhost = \"y\"\nsplit.blue = 1\n" + routes),
       "f:12:15: routes.b is for y/p, which routes.app is for already; a request could go either "
       "way"},
      {with_route("path = \"/p\"\nsplit.blue = 1\n[routes.b]\nsplit.blue = 1\npath = \"/p\""),
       "f:12:8: routes.b is for any host and /p, which routes.app is for already; a request could "
       "go either way"},
  });
}

TEST(ConfigErrors, TrustedBlocksAreExplained) {
  const auto with_block = [](const std::string& block) {
    return before_sound("[listeners.x]\naddress = \"*:0\"\ntrusted_proxies = [" + block + "]\n");
  };
  expect_each({
      {with_block("\"10.1.2.3/8\""),
       "f:3:20: listeners.x.trusted_proxies: \"10.1.2.3/8\" has address bits behind its /8 (did "
       "you mean \"10.0.0.0/8\"?)"},
      {with_block("\"10.0.0.0/33\""),
       "f:3:20: listeners.x.trusted_proxies: \"10.0.0.0/33\" is not an address block: write an IP "
       "address, a block like \"10.0.0.0/8\", or \"unix\" for all who come over a Unix socket"},
      {with_block("\"unix:/run/x\""),
       "f:3:20: listeners.x.trusted_proxies: \"unix:/run/x\" is not an address block: write an IP "
       "address, a block like \"10.0.0.0/8\", or \"unix\" for all who come over a Unix socket (did "
       "you mean \"unix\"?)"},
      {with_block("\"unix\", \"unix\""),
       "f:3:28: listeners.x.trusted_proxies names \"unix\" twice"},
      {with_block("\"10.0.0.1\", \"10.0.0.1/32\""),
       "f:3:32: listeners.x.trusted_proxies names \"10.0.0.1/32\" twice"},
  });
  EXPECT_EQ(errors_of(with_block("\"::/0\", \"0.0.0.0/0\", \"fd00::/9\", \"10.0.0.0/31\"")),
            Strings{});
}

TEST(ConfigErrors, WordsAreChosenFromTheirList) {
  expect_each({
      {before_sound("[listeners.x]\naddress = \"*:0\"\n[listeners.x.tls]\ncertificate_file = "
                    "\"c\"\nkey_file = \"k\"\nmin_version = \"1,3\"\n"),
       "f:6:15: listeners.x.tls.min_version is \"1,3\" but must be \"1.3\" or \"1.2\" (did you "
       "mean \"1.3\"?)"},
  });
}

TEST(ConfigErrors, LimitsFitTogether) {
  expect_each({
      {before_sound("[limits]\nfield_line_bytes = \"64KiB\"\n"),
       "f:2:20: limits.field_line_bytes (65536) must not be larger than limits.head_bytes (32768)"},
      {before_sound("[limits]\nbackend_connections = 10\n"),
       "f:2:23: limits.backend_idle_connections (64) must not be larger than "
       "limits.backend_connections (10)"},
  });
}

TEST(ConfigErrors, AllAreReportedAtOnceInOrderOfPlace) {
  const std::string text = R"([routes.app]
split = { blue = "x", red = 1 }
path = "app"
[timeouts]
idle = 5
[listeners.a]
adress = "*:80"
[listeners.b]
address = "*:81"
[listeners.c]
address = "127.0.0.1:81"
[backends.blue]
servers = ["blue:80"]
health = { fall = 0, staus = 200 }
)";
  const auto config = parse(text, "f");
  ASSERT_FALSE(config);
  std::vector<std::pair<int, int>> places;
  Strings hints;
  for (const ConfigError& error : config.error()) {
    places.emplace_back(error.line, error.column);
    if (!error.hint.empty()) hints.push_back(error.hint);
  }
  EXPECT_EQ(places, (std::vector<std::pair<int, int>>{{2, 18},
                                                      {2, 23},
                                                      {3, 8},
                                                      {5, 8},
                                                      {6, 12},
                                                      {7, 1},
                                                      {11, 11},
                                                      {13, 12},
                                                      {14, 19},
                                                      {14, 22}}));
  EXPECT_EQ(hints, (Strings{"/app", "5s", "address", "status"}));
}

TEST(ConfigErrors, AWrongElementDoesNotMakeOthersWrong) {
  // The backend exists although its servers are wrong, and a wrong path claims nothing twice over.
  EXPECT_EQ(errors_of(R"([listeners.a]
address = "x"
[listeners.b]
address = "y"
[backends.Blue]
servers = ["nowhere"]
[routes.app]
split.Blue = 1
)")
                .size(),
            4u);
}

TEST(ConfigErrors, AreCountedBeyondTheirBound) {
  std::string text(kSound);
  text += "[timeouts]\n";
  for (std::size_t i = 0; i < kErrorsMax + 23; ++i) text += fmt::format("wrong{} = 1\n", i);
  const auto errors = errors_of(text);
  ASSERT_EQ(errors.size(), kErrorsMax + 1);
  EXPECT_TRUE(
      errors.front().ends_with("unknown key \"wrong0\" in [timeouts]; known are connect, "
                               "tls_handshake, request_head, response_head, idle, "
                               "backend_idle, stream, exchange"));
  EXPECT_EQ(errors.back(), "f: and 23 more errors");
}

TEST(ConfigErrors, TooManyElementsAreRefused) {
  std::string text(kSound);
  for (int i = 0; i < 64; ++i) text += fmt::format("[listeners.l{}]\naddress = \"*:0\"\n", i);
  EXPECT_EQ(errors_of(text),
            Strings{"f:135:12: listeners has 65 entries; at most 64 are possible"});
  EXPECT_EQ(errors_of("backends = {}\n" + std::string("[listeners.a]\naddress = \"*:0\"\n") +
                      "[routes.a]\nsplit.x = 1\n"),
            (Strings{"f:1:1: backends is empty: name at least one",
                     "f:5:7: routes.a.split: there is no backend \"x\""}));
}

TEST(ConfigErrors, HintsCarryNoControlBytes) {
  const auto config = parse(with_address("\"/run/\\u001b[2J\""), "f");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error()[0].hint, "");
}

TEST(ConfigErrors, ASyntaxErrorStandsAlone) {
  EXPECT_EQ(errors_of("[timeout]\nidle = 5\nx = = 1\n").size(), 1u);
  EXPECT_TRUE(errors_of("[timeout]\nidle = 5\nx = = 1\n")[0].starts_with("f:3:5: not TOML: "));
}

}  // namespace
}  // namespace sluice::conf

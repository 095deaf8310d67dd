#include "conf/parser.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "routing/schedule.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

// The bounds on splits are the picker's.
static_assert(kSharesMax == routing::Schedule::kSharesMax);
static_assert(kStatelessSharesMax == routing::Schedule::kStatelessSharesMax);
static_assert(kSchedulePeriodMax == routing::Schedule::kTablePeriodMax);

std::string text_of(const std::vector<ConfigError>& errors) {
  std::string text;
  for (const ConfigError& error : errors) text += error.to_string() + "\n";
  return text;
}

Config parse_sound(std::string_view text, std::string_view file = "sluice.toml") {
  auto config = parse(text, file);
  EXPECT_TRUE(config) << text_of(config ? std::vector<ConfigError>{} : config.error());
  return config ? *config : Config{};
}

TEST(Parser, WhatAFileDoesNotSayIsAtItsDefault) {
  const Config config = parse_sound(kSound);
  EXPECT_EQ(config.file, "sluice.toml");
  EXPECT_EQ(config.runtime.workers, std::nullopt);
  EXPECT_EQ(config.runtime.state_directory, "/var/lib/sluice");
  EXPECT_EQ(config.timeouts.connect, seconds(3));
  EXPECT_EQ(config.timeouts.exchange, Duration::zero());
  EXPECT_EQ(config.limits.head_bytes, 32u * 1024);
  EXPECT_EQ(config.limits.body_bytes, 0u);
  ASSERT_EQ(config.admin.listen.size(), 1u);
  EXPECT_EQ(config.admin.listen[0].to_string(), "127.0.0.1:9901");
  ASSERT_EQ(config.admin.read_only_listen.size(), 1u);
  EXPECT_EQ(config.admin.read_only_listen[0].to_string(), "127.0.0.1:9902");
  EXPECT_EQ(config.admin.unix_socket_mode, 0660u);
  EXPECT_FALSE(config.access_log.enabled);
  ASSERT_EQ(config.listeners.size(), 1u);
  EXPECT_EQ(config.listeners[0].line, 1);
  EXPECT_FALSE(config.listeners[0].tls);
  EXPECT_TRUE(config.listeners[0].trusted_proxies.empty());
  ASSERT_EQ(config.backends.size(), 2u);
  EXPECT_EQ(config.backends[0].health, HealthCheck{});
  EXPECT_EQ(config.backends[0].servers[0].name, "127.0.0.1:9001");
  ASSERT_EQ(config.routes.size(), 1u);
  EXPECT_TRUE(config.routes[0].hosts.empty());
  EXPECT_EQ(config.routes[0].path_prefix, "/");
}

TEST(Parser, TheFullExampleIsReadAsItSays) {
  const Config config = parse_sound(read_source("docs/examples/full.toml"));
  ASSERT_EQ(config.listeners.size(), 3u);
  EXPECT_EQ(config.listeners[0].proxy_protocol_from[0].to_string(), "192.0.2.0/24");
  EXPECT_EQ(config.listeners[1].address.path, "/run/sluice/http.sock");
  ASSERT_TRUE(config.listeners[2].tls);
  EXPECT_EQ(config.listeners[2].tls->certificate_file, "/etc/sluice/tls/cert.pem");
  EXPECT_EQ(config.listeners[2].tls->key_file, "/etc/sluice/tls/key.pem");
  EXPECT_FALSE(config.listeners[2].tls->allow_tls12);
  ASSERT_EQ(config.listeners[2].trusted_proxies.size(), 1u);
  EXPECT_EQ(config.listeners[2].trusted_proxies[0].to_string(), "10.0.0.0/8");
  EXPECT_EQ(config.listeners[2].forwarded, ForwardedFields::x_forwarded);
  EXPECT_EQ(config.listeners[2].timeouts.idle, seconds(30));
  EXPECT_EQ(config.listeners[2].limits.head_bytes, 16u * 1024);
  ASSERT_EQ(config.backends.size(), 4u);
  EXPECT_EQ(config.backends[2].protocol, HttpVersion::http2);
  EXPECT_EQ(config.backends[2].tls, (BackendTls{.ca_file = "/etc/sluice/internal-ca.pem",
                                                .server_name = "payments.internal",
                                                .line = config.backends[2].tls->line}));
  EXPECT_EQ(config.backends[3].send_proxy_protocol, ProxyProtocol::v1);
  EXPECT_EQ(config.backends[1].servers[0].name, "web-1");
  EXPECT_EQ(config.backends[1].servers[1].address.port, 9004);
  EXPECT_EQ(config.backends[1].health->status_min, 200);
  EXPECT_EQ(config.backends[1].health->status_max, 200);
  EXPECT_EQ(config.backends[1].health->settle_interval, milliseconds(500));
  EXPECT_EQ(config.backends[1].health->host, "green.internal:9002");
  EXPECT_FALSE(config.backends[3].health);
  EXPECT_EQ(config.backends[3].servers[0].weight, *Decimal::parse("2"));
  EXPECT_EQ(config.backends[3].slow_start, seconds(30));
  EXPECT_EQ(config.listeners[2].health_path, "/sluice-health");
  EXPECT_EQ(config.routes[0].sticky->by.size(), 2u);
  EXPECT_EQ(config.routes[0].split[1].state, ShareState::sticky_only);
  EXPECT_EQ(config.routes[0].fallback, "legacy");
  ASSERT_EQ(config.routes.size(), 4u);
  EXPECT_TRUE(config.routes[2].allow_connect);
  EXPECT_TRUE(config.routes[2].upgrades.empty());
  EXPECT_EQ(config.routes[3].timeouts.response_head, seconds(10));
  EXPECT_EQ(config.routes[3].limits.retry_body_bytes, 0u);
  EXPECT_EQ(config.routes[1].split[0].weight, *Decimal::parse("99.999"));
  EXPECT_EQ(config.routes[1].split[1].weight, *Decimal::parse("0.001"));
  EXPECT_EQ(config.routes[2].hosts[1], "*.shop.example.com");
  EXPECT_EQ(config.admin.listen[1].path, "/run/sluice/admin.sock");
  EXPECT_EQ(config.admin.listen[2].to_string(), "10.0.0.5:9901");
  EXPECT_EQ(config.admin.uids, std::vector<std::uint32_t>{1000});
  const std::vector<NamedGrant> users = {
      {"www-data", {.role = Role::viewer}},
      {"1001", {.role = Role::operator_, .routes = {"old-shop"}, .backends = {"blue", "green"}}}};
  EXPECT_EQ(config.admin.users, users);
  EXPECT_EQ(config.admin.tokens_file, "/etc/sluice/tokens.toml");
  EXPECT_EQ(config.admin.container, Container::automatic);
  ASSERT_TRUE(config.admin.tls);
  EXPECT_EQ(config.admin.tls->client_ca_file, "/etc/sluice/tls/clients-ca.pem");
  const std::vector<NamedGrant> certificates = {
      {"deploy.internal", {.role = Role::operator_}},
      {"spiffe://example.com/dashboard", {.role = Role::viewer}}};
  EXPECT_EQ(config.admin.certificates, certificates);
  EXPECT_EQ(config.audit_log.path, "/var/log/sluice/audit.log");
  EXPECT_TRUE(config.access_log.enabled);
  EXPECT_EQ(config.access_log.path, "/var/log/sluice/access.log");
}

TEST(Parser, TheMinimalExampleIsEnough) {
  const Config config = parse_sound(read_source("docs/examples/minimal.toml"));
  EXPECT_EQ(config.listeners.size(), 1u);
  EXPECT_EQ(config.routes[0].split.size(), 2u);
}

TEST(Parser, ElementsKeepTheOrderOfTheFile) {
  const Config config = parse_sound(R"(
[routes.z]
split = { b = 1, a = 2 }
[backends.b.servers]
z = "127.0.0.1:3"
a = "127.0.0.1:2"
[routes.a]
path = "/a"
split.a = 1
[listeners.y]
address = "*:0"
[backends.a]
servers = ["127.0.0.1:1"]
[listeners.x]
address = "[::1]:0"
)");
  EXPECT_EQ(config.routes[0].name, "z");
  EXPECT_EQ(config.routes[1].name, "a");
  EXPECT_EQ(config.routes[0].split[0].backend, "b");
  EXPECT_EQ(config.backends[0].name, "b");
  EXPECT_EQ(config.backends[0].servers[0].name, "z");
  EXPECT_EQ(config.listeners[0].name, "y");
  EXPECT_EQ(config.listeners[0].line, 10);
}

TEST(Parser, BackendsInheritWhatTheyDoNotSayOfHealth) {
  const Config config = parse_sound(R"(
[backends.blue.health]
fall = 9
[backends.green.health]
enabled = true
status = "200-399"
[backends.plain]
servers = ["127.0.0.1:9003"]
[backends.blue]
servers = ["127.0.0.1:9001"]
[backends.green]
servers = ["127.0.0.1:9002"]
[health]
enabled = false
path = "/up"
interval = "5s"
[listeners.http]
address = "127.0.0.1:0"
[routes.app]
split = { blue = 1 }
)");
  ASSERT_EQ(config.backends.size(), 3u);
  EXPECT_FALSE(config.backends[0].health);
  ASSERT_TRUE(config.backends[1].health);
  EXPECT_EQ(config.backends[1].health->path, "/up");
  EXPECT_EQ(config.backends[1].health->interval, seconds(5));
  EXPECT_EQ(config.backends[1].health->status_max, 399);
  EXPECT_EQ(config.backends[1].health->fall, 3);
  EXPECT_FALSE(config.backends[2].health);
}

TEST(Parser, RelativePathsAreTakenFromTheFilesFolder) {
  const std::string text = before_sound(R"(
[runtime]
state_directory = "state"
[access_log]
path = "logs/access.log"
[listeners.https]
address = "127.0.0.1:0"
tls = { certificate_file = "cert.pem", key_file = "/keys/key.pem", min_version = "1.2" }
)");
  const Config config = parse_sound(text, "/etc/sluice/sluice.toml");
  EXPECT_EQ(config.runtime.state_directory, "/etc/sluice/state");
  EXPECT_EQ(config.access_log.path, "/etc/sluice/logs/access.log");
  EXPECT_EQ(config.listeners[0].tls->certificate_file, "/etc/sluice/cert.pem");
  EXPECT_EQ(config.listeners[0].tls->key_file, "/keys/key.pem");
  EXPECT_EQ(config.listeners[0].tls->line, 8);
  EXPECT_TRUE(config.listeners[0].tls->allow_tls12);
  EXPECT_EQ(parse_sound(text, "sluice.toml").runtime.state_directory, "state");
  EXPECT_EQ(parse_sound(before_sound("[access_log]\n"), "/etc/x.toml").access_log.path, "stdout");
}

TEST(Parser, TheAccessLogIsOnWhereItsTableStands) {
  EXPECT_TRUE(parse_sound(before_sound("[access_log]\n")).access_log.enabled);
  EXPECT_FALSE(parse_sound(before_sound("[access_log]\nenabled = false\n")).access_log.enabled);
}

TEST(Parser, AnEmptyListTurnsAdminOff) {
  const Config config = parse_sound(before_sound("[admin]\nlisten = []\nread_only_listen = []\n"));
  EXPECT_TRUE(config.admin.listen.empty());
  EXPECT_TRUE(config.admin.read_only_listen.empty());
}

TEST(Parser, OneAdminKeyLeavesTheOthersAtTheirDefault) {
  const Config config = parse_sound(before_sound("[admin]\nlisten = [\"127.0.0.1:0\"]\n"));
  EXPECT_EQ(config.admin.listen[0].port, 0);
  EXPECT_EQ(config.admin.read_only_listen[0].port, 9902);
}

TEST(Parser, PortZeroNeverConflicts) {
  parse_sound(before_sound(R"([listeners.a]
address = "127.0.0.1:0"
[listeners.b]
address = "0.0.0.0:0"
[admin]
listen = ["127.0.0.1:0"]
read_only_listen = ["127.0.0.1:0"]
)"));
}

TEST(Parser, HostsAreKeptInLowerCase) {
  const Config config = parse_sound(std::string(kWithoutRoutes) + R"([routes.a]
host = "WWW.Example.COM"
split.blue = 1
[routes.b]
hosts = ["*.Example.com", "[::1]", "10.0.0.1", "a_b"]
path = "/x/%C3%A9;v=1"
split.blue = 1
)");
  EXPECT_EQ(config.routes[0].hosts, std::vector<std::string>{"www.example.com"});
  EXPECT_EQ(config.routes[1].hosts[0], "*.example.com");
  EXPECT_EQ(config.routes[1].path_prefix, "/x/%C3%A9;v=1");
}

TEST(Parser, OneHostMayHaveManyPathsAndOnePathManyHosts) {
  parse_sound(std::string(kWithoutRoutes) + R"([routes.a]
host = "a.example"
split.blue = 1
[routes.b]
host = "a.example"
path = "/b"
split.blue = 1
[routes.c]
host = "c.example"
path = "/b"
split.blue = 1
[routes.d]
host = "*.a.example"
split.blue = 1
[routes.e]
split.blue = 1
)");
}

TEST(Parser, WeightsAreTheDecimalsThatWereWritten) {
  const Config config = parse_sound(std::string(kWithoutRoutes) + R"([backends.third]
servers = ["127.0.0.1:9003"]
[routes.a]
split = { blue = 0.1, green = "0.10", third = 99.8 }
[routes.b]
path = "/b"
split = { blue = 33.333333, green = 1e3, third = 0 }
)");
  const auto weight = [&](std::size_t route, std::size_t share) {
    return config.routes.at(route).split.at(share).weight.to_string();
  };
  EXPECT_EQ(weight(0, 0), "0.1");
  EXPECT_EQ(weight(0, 1), "0.1");
  EXPECT_EQ(weight(0, 2), "99.8");
  EXPECT_EQ(weight(1, 0), "33.333333");
  EXPECT_EQ(weight(1, 1), "1000");
  EXPECT_EQ(weight(1, 2), "0");
}

// Five shares of 1, 1, 1, 1 and `last`, behind a backend of weight zero that doesn't count.
std::string five_shares(std::uint64_t last) {
  std::string text = "[listeners.http]\naddress = \"127.0.0.1:0\"\n";
  for (int i = 0; i < 6; ++i) {
    text += fmt::format("[backends.b{0}]\nservers = [\"127.0.0.1:900{0}\"]\n", i);
  }
  return text + fmt::format(
                    "[routes.app]\nsplit = {{ b0 = 0, b1 = 1, b2 = 1, b3 = 1, b4 = 1, b5 = "
                    "{} }}\n",
                    last);
}

TEST(Parser, SplitsAreAcceptedUpToTheLongestOrderThatIsKept) {
  parse_sound(five_shares(kSchedulePeriodMax - 4));
  const auto config = parse(five_shares(kSchedulePeriodMax - 3), "f");
  ASSERT_FALSE(config);
  ASSERT_EQ(config.error().size(), 1u);
  EXPECT_EQ(config.error()[0].line, 16);
  EXPECT_TRUE(config.error()[0].message.contains("sum to at most 1048576; these sum to 1048577"))
      << config.error()[0].message;
}

TEST(Parser, ByteOrderMarkAndCrLfAreWelcome) {
  std::string text = "\xef\xbb\xbf";
  for (char c : kSound) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(parse_sound(text).listeners[0].line, 1);
}

class Load : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + fmt::format("sluice-conf-{}.toml", ::getpid());
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void write(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }

  std::string path_;
};

TEST_F(Load, ReadsAFile) {
  write(kSound);
  const auto config = load(path_);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->file, path_);
}

TEST_F(Load, NamesTheFileInErrors) {
  write("[timeouts]\nconect = \"3s\"\n" + std::string(kSound));
  const auto config = load(path_);
  ASSERT_FALSE(config);
  EXPECT_EQ(text_of(config.error()),
            path_ + ":2:1: unknown key \"conect\" in [timeouts] (did you mean \"connect\"?)\n");
}

TEST_F(Load, SaysWhyAFileCannotBeRead) {
  const auto missing = load(path_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(text_of(missing.error()), path_ + ": can't be opened: No such file or directory\n");
  const auto folder = load(testing::TempDir());
  ASSERT_FALSE(folder);
  EXPECT_EQ(text_of(folder.error()), testing::TempDir() + ": can't be read: Is a directory\n");
}

TEST_F(Load, RefusesAFileThatIsTooLarge) {
  std::string text(kSound);
  text.append(kFileBytesMax - text.size(), '\n');
  write(text);
  EXPECT_TRUE(load(path_));
  write(text + "\n");
  const auto config = load(path_);
  ASSERT_FALSE(config);
  EXPECT_EQ(text_of(config.error()), path_ + ": larger than 4194304 bytes\n");
}

}  // namespace
}  // namespace sluice::conf

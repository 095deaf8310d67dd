// What a request says of the backend that it wants: cookies, keys, and who may force one.
#include "proxy/data/request_wish.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "proxy/data/sticky_cookie.h"

namespace sluice::proxy {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const std::string kSecretA(64, 'a');
const std::string kSecretB(64, 'b');

StickyKeys keys_of(const std::string& text) {
  auto keys = StickyKeys::parse(text);
  EXPECT_TRUE(keys.has_value());
  return *keys;
}

TEST(StickyKeys, OpenWhatTheySealed) {
  const StickyKeys keys = keys_of(kSecretA);
  const WallTime issued(seconds(1'800'000'000));
  for (const routing::StickyKey key : {0u, 1u, 0xdeadbeefu, 0xffffffffu}) {
    const std::string cookie = keys.seal("app", key, issued);
    EXPECT_EQ(cookie.size(), 59u);
    EXPECT_TRUE(cookie.starts_with("v1."));
    const auto opened = keys.open("app", cookie);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->key, key);
    EXPECT_EQ(opened->issued, issued);
    EXPECT_TRUE(opened->by_current);
  }
}

TEST(StickyKeys, ACookieIsGoodForItsOwnRouteAndSecretOnly) {
  const StickyKeys keys = keys_of(kSecretA);
  const std::string cookie = keys.seal("app", 7, WallTime(seconds(1)));
  EXPECT_FALSE(keys.open("api", cookie));
  EXPECT_FALSE(keys_of(kSecretB).open("app", cookie));
  const auto rotated = keys_of(kSecretB + "\n" + kSecretA + "\n").open("app", cookie);
  ASSERT_TRUE(rotated.has_value());
  EXPECT_FALSE(rotated->by_current);
}

TEST(StickyKeys, NoChangeOfACookieIsGood) {
  const StickyKeys keys = keys_of(kSecretA);
  const std::string cookie = keys.seal("app", 7, WallTime(seconds(1)));
  for (std::size_t i = 0; i < cookie.size(); ++i) {
    for (const char c : std::string("0fAvg. ")) {
      std::string other = cookie;
      other[i] = c;
      if (other != cookie) {
        EXPECT_FALSE(keys.open("app", other)) << other;
      }
    }
    EXPECT_FALSE(keys.open("app", cookie.substr(0, i)));
    EXPECT_FALSE(keys.open("app", cookie + cookie.substr(0, i + 1)));
  }
}

TEST(StickyKeys, AKeyFileIsReadStrictlyAndItsSecretsAreNotRepeated) {
  EXPECT_TRUE(StickyKeys::parse("# comment\n\n" + kSecretA + "\r\n" + kSecretB));
  EXPECT_TRUE(StickyKeys::parse(StickyKeys::new_file()));
  EXPECT_NE(StickyKeys::new_file(), StickyKeys::new_file());
  EXPECT_EQ(StickyKeys::parse(kSecretA + "\nsecret").error(),
            "line 2 is not a key of 64 hexadecimal digits");
  EXPECT_TRUE(StickyKeys::parse("# nothing\n").error().contains("openssl rand -hex 32"));
  std::string many;
  for (std::size_t i = 0; i <= StickyKeys::kSecretsMax; ++i) many += kSecretA + "\n";
  EXPECT_EQ(StickyKeys::parse(many).error(), "it has more than 8 keys");
}

class RequestWishTest : public testing::Test {
 protected:
  RequestWishTest() {
    config.name = "app";
    config.path_prefix = "/shop";
    config.split = {{"blue", Decimal{90, 0}}, {"green", Decimal{10, 0}}};
    sticky();
    client.peer = *Address::parse("10.1.2.3:4711");
    client.peer_ip = "10.1.2.3";
  }
  void sticky(std::vector<std::vector<conf::StickyPart>> by = {{conf::StickyPart{}}}) {
    config.sticky.emplace().by = std::move(by);
  }
  RequestWish read() {
    routing::SnapshotRoute route{.name = "app",
                                 .split = config.split,
                                 .backends = {0, 1},
                                 .schedule = routing::Schedule(std::vector<std::uint64_t>{9, 1})};
    if (config.sticky) {
      const auto partition = routing::Partition().rebalance(config.split);
      route.keys = std::make_shared<const routing::KeyMap>(partition, config.split);
    }
    return read_wish(config, route, head, client, &keys, now);
  }
  void cookie(const std::string& text) { head.fields.append("Cookie", text); }

  static conf::StickyPart header(std::string name) {
    return {conf::StickyPart::Kind::header, std::move(name)};
  }
  static conf::StickyPart address() { return {conf::StickyPart::Kind::client, {}}; }

  conf::Route config;
  http::RequestHead head;
  ClientInfo client;
  StickyKeys keys = keys_of(kSecretA);
  WallTime now{hours(24 * 365 * 50)};
};

TEST_F(RequestWishTest, WithoutACookieItWantsOne) {
  const RequestWish asked = read();
  EXPECT_FALSE(asked.wish.key);
  EXPECT_TRUE(asked.wants_cookie);
  EXPECT_FALSE(asked.cookie_refused);
}

TEST_F(RequestWishTest, AGoodCookieIsItsKey) {
  cookie("a=b; sluice_app=" + keys.seal("app", 77, now) + "; c=d");
  const RequestWish asked = read();
  EXPECT_EQ(asked.wish.key, 77u);
  EXPECT_FALSE(asked.wants_cookie);
  EXPECT_FALSE(asked.renew_cookie);
}

TEST_F(RequestWishTest, AForgedCookieIsNoneAndIsCounted) {
  cookie("sluice_app=" + keys_of(kSecretB).seal("app", 77, now));
  const RequestWish asked = read();
  EXPECT_FALSE(asked.wish.key);
  EXPECT_TRUE(asked.wants_cookie);
  EXPECT_TRUE(asked.cookie_refused);
}

TEST_F(RequestWishTest, ACookieAgesAndIsRenewedAtHalfOfItsTime) {
  config.sticky->cookie_max_age = hours(10);
  cookie("sluice_app=" + keys.seal("app", 77, now));
  now += hours(5);
  EXPECT_FALSE(read().renew_cookie);
  now += seconds(1);
  EXPECT_TRUE(read().renew_cookie);
  EXPECT_EQ(read().wish.key, 77u);
  now += hours(5);
  EXPECT_TRUE(read().cookie_refused);
  EXPECT_TRUE(read().wants_cookie);
  now -= hours(24);  // another node's clock is ahead of ours
  EXPECT_EQ(read().wish.key, 77u);
}

TEST_F(RequestWishTest, ACookieOfAnEarlierSecretIsRenewed) {
  cookie("sluice_app=" + keys.seal("app", 77, now));
  keys = keys_of(kSecretB + "\n" + kSecretA);
  EXPECT_EQ(read().wish.key, 77u);
  EXPECT_TRUE(read().renew_cookie);
}

TEST_F(RequestWishTest, AHeaderIsHashedSoThatAnybodyCanSayTheKey) {
  sticky({{header("x-user")}});
  EXPECT_FALSE(read().wish.key);
  EXPECT_FALSE(read().wants_cookie);
  head.fields.append("X-User", "alice");
  // printf alice | sha256sum | cut -c1-8
  EXPECT_EQ(read().wish.key, 0x2bd806c9u);
}

TEST_F(RequestWishTest, TheFirstOfTheListThatARequestHasCounts) {
  sticky({{header("x-user"), address()}, {conf::StickyPart{}}});
  EXPECT_TRUE(read().wants_cookie);
  head.fields.append("X-User", "alice");
  EXPECT_EQ(read().wish.key, key_of(std::string_view("alice\0"
                                                     "10.1.2.3",
                                                     14)));
  EXPECT_FALSE(read().wants_cookie);
  client.peer_ip = {};  // a Unix socket
  cookie("sluice_app=" + keys.seal("app", 77, now));
  EXPECT_EQ(read().wish.key, 77u);
}

TEST_F(RequestWishTest, TheClientIsWhomATrustedProxyNamesLast) {
  sticky({{address()}});
  head.fields.append("X-Forwarded-For", "1.1.1.1, 2.2.2.2");
  EXPECT_EQ(read().wish.key, key_of("10.1.2.3"));
  client.trusted = true;
  EXPECT_EQ(read().wish.key, key_of("2.2.2.2"));
}

TEST_F(RequestWishTest, WhoMayForceABackendAndWhoNot) {
  config.force.emplace().allow_from = {*AddressBlock::parse("10.0.0.0/8")};
  head.fields.append("X-Sluice-Backend", "green");
  EXPECT_EQ(read().wish.forced, 1u);
  client.peer = *Address::parse("11.1.2.3:1");
  client.peer_ip = "11.1.2.3";
  EXPECT_FALSE(read().wish.forced);
  EXPECT_TRUE(read().wants_cookie) << "as if it had said nothing";
  head.fields.append("X-Forwarded-For", "10.9.9.9");
  EXPECT_FALSE(read().wish.forced);
  client.trusted = true;
  EXPECT_EQ(read().wish.forced, 1u);
  config.force.reset();
  EXPECT_FALSE(read().wish.forced);
}

TEST_F(RequestWishTest, AnUnknownBackendIsRefusedInTheFieldAndIgnoredInTheCookie) {
  config.force.emplace().allow_from = {*AddressBlock::parse("10.0.0.0/8")};
  cookie("sluice_backend=gren");
  EXPECT_FALSE(read().refusal);
  EXPECT_FALSE(read().wish.forced);
  head.fields.append("x-sluice-backend", "gren");
  EXPECT_EQ(read().refusal,
            "X-Sluice-Backend names \"gren\", which this route does not have or has turned off: "
            "did you mean \"green\"?");
  config.split[1].state = conf::ShareState::off;
  head.clear();
  head.fields.append("x-sluice-backend", "green");
  EXPECT_TRUE(read().refusal);
  head.clear();
  cookie("sluice_backend=blue");
  EXPECT_EQ(read().wish.forced, 0u);
}

TEST_F(RequestWishTest, SetCookieSaysWhatTheConfigurationSays) {
  EXPECT_EQ(set_cookie(config, "x", false), "sluice_app=x; Path=/shop; HttpOnly; SameSite=Lax");
  EXPECT_EQ(set_cookie(config, "x", true),
            "sluice_app=x; Path=/shop; Secure; HttpOnly; SameSite=Lax");
  config.sticky->cookie_name = "v";
  config.sticky->cookie_max_age = hours(1);
  config.sticky->cookie_http_only = false;
  config.sticky->cookie_same_site = "None";
  EXPECT_EQ(set_cookie(config, "x", false), "v=x; Path=/shop; Max-Age=3600; Secure; SameSite=None");
}

TEST(FindCookie, TakesTheFirstOfThatName) {
  http::Fields fields;
  fields.append("Cookie", "ab=1; a=2 ;a=3;b=\"4\"; =5; c");
  EXPECT_EQ(find_cookie(fields, "a"), "2");
  EXPECT_EQ(find_cookie(fields, "ab"), "1");
  EXPECT_EQ(find_cookie(fields, "b"), "4");
  EXPECT_FALSE(find_cookie(fields, "c"));
  EXPECT_FALSE(find_cookie(fields, "A"));
  EXPECT_FALSE(find_cookie(fields, ""));
}

}  // namespace
}  // namespace sluice::proxy

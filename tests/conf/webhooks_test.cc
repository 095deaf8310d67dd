// [webhooks.NAME]: what it means, and every way to get it wrong.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::vector<std::string> errors_of(const std::string& lines) {
  const auto config = parse(before_sound("[webhooks.pager]\n" + lines + "\n"), "f");
  std::vector<std::string> errors;
  if (config) return errors;
  for (const ConfigError& error : config.error()) errors.push_back(error.to_string());
  return errors;
}

Webhook parsed(const std::string& lines) {
  const auto config = parse(before_sound("[webhooks.pager]\n" + lines + "\n"), "/etc/s.toml");
  if (!config) {
    ADD_FAILURE() << config.error().front().to_string();
    return {};
  }
  return config->webhooks.at(0);
}

TEST(Webhooks, NeedOnlyAnUrl) {
  const Webhook hook = parsed("url = \"http://127.0.0.1:9093/api/v2/alerts?x=1\"");
  EXPECT_EQ(hook.name, "pager");
  EXPECT_EQ(hook.url.address.to_string(), "127.0.0.1:9093");
  EXPECT_EQ(hook.url.authority, "127.0.0.1:9093");
  EXPECT_EQ(hook.url.target, "/api/v2/alerts?x=1");
  EXPECT_FALSE(hook.url.tls);
  EXPECT_EQ(hook.format, Webhook::Format::json);
  EXPECT_EQ(hook.events.size(), kEventTypeCount);
  EXPECT_EQ(hook.timeout, seconds(5));
  EXPECT_EQ(hook.queue, 256u);
  EXPECT_EQ(hook.line, 1);
}

TEST(Webhooks, UrlsHaveDefaultPortsAndPaths) {
  const auto address = [](const std::string& url, const std::string& more = "") {
    const Webhook hook = parsed("url = \"" + url + "\"\n" + more);
    return hook.url.address.to_string() + " " + hook.url.authority + " " + hook.url.target;
  };
  EXPECT_EQ(address("http://10.0.0.1"), "10.0.0.1:80 10.0.0.1 /");
  EXPECT_EQ(address("http://localhost/x"), "127.0.0.1:80 localhost /x");
  EXPECT_EQ(address("http://localhost:81?x"), "127.0.0.1:81 localhost:81 /?x");
  EXPECT_EQ(address("http://[::1]/x"), "[::1]:80 [::1] /x");
  EXPECT_EQ(address("https://[::1]:444/", "ca_file = \"ca.pem\""), "[::1]:444 [::1]:444 /");
  EXPECT_EQ(address("https://10.0.0.1/", "ca_file = \"ca.pem\""), "10.0.0.1:443 10.0.0.1 /");
}

TEST(Webhooks, SayAllThereIsToSay) {
  const Webhook hook = parsed(R"(url = "https://10.0.0.1/hook"
format = "alertmanager"
events = ["health", "alarm"]
timeout = "2s"
retry_max = "30s"
give_up_after = "10m"
queue = 16
ca_file = "ca.pem"
server_name = "Alerts.internal"
token_file = "/run/token"
headers = { X-Source = "sluice", x-two = "a b" })");
  EXPECT_EQ(hook.format, Webhook::Format::alertmanager);
  EXPECT_THAT(hook.events, ElementsAre(EventType::health, EventType::alarm));
  EXPECT_EQ(hook.timeout, seconds(2));
  EXPECT_EQ(hook.retry_max, seconds(30));
  EXPECT_EQ(hook.give_up_after, std::chrono::minutes(10));
  EXPECT_EQ(hook.queue, 16u);
  EXPECT_EQ(hook.ca_file, "/etc/ca.pem");
  EXPECT_EQ(hook.server_name, "alerts.internal");
  EXPECT_EQ(hook.token_file, "/run/token");
  EXPECT_THAT(hook.headers, ElementsAre(Pair("X-Source", "sluice"), Pair("x-two", "a b")));
}

TEST(Webhooks, AreNotNeeded) {
  const auto config = parse(kSound, "f");
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->webhooks.empty());
}

void expect_error(const std::string& lines, const std::string& says) {
  EXPECT_THAT(errors_of(lines), ElementsAre(HasSubstr(says))) << lines;
}

TEST(Webhooks, EveryUrlThatCanNotBeCalledIsSaidSo) {
  const auto expect_url_error = [](const std::string& url, const std::string& says) {
    expect_error("url = \"" + url + "\"", says);
  };
  expect_url_error("http://alerts.internal/", "names are not resolved yet");
  expect_url_error("ftp://127.0.0.1/", "http:// or https://");
  expect_url_error("127.0.0.1:9093", "http:// or https://");
  expect_url_error("http://u:p@127.0.0.1/", "token_file");
  expect_url_error("http://127.0.0.1/#x", "fragment");
  expect_url_error("http://127.0.0.1:0/", "port");
  expect_url_error("http://127.0.0.1:99999/", "names are not resolved yet");
  expect_url_error("http:///x", "names are not resolved yet");
  expect_url_error("http://*:80/", "names are not resolved yet");
  expect_url_error("http://::1/", "names are not resolved yet");
  expect_url_error("http://127.0.0.1/a b", "without blanks");
  expect_url_error("http://127.0.0.1/" + std::string(2000, 'x'), "at most 1024 bytes");
  expect_error("url = 1", "must be a URL");
  expect_error("", "the key webhooks.pager.url is missing");
}

TEST(Webhooks, TlsKeysGoWithHttps) {
  expect_error("url = \"https://127.0.0.1/\"", "needs ca_file");
  expect_error("url = \"http://127.0.0.1/\"\nca_file = \"x\"", "is for https URLs");
  expect_error("url = \"http://127.0.0.1/\"\nserver_name = \"x.test\"", "is for https URLs");
}

TEST(Webhooks, HeadersAreHeadersAndNotSluicesOwn) {
  const auto expect_header_error = [](const std::string& header, const std::string& says) {
    expect_error("url = \"http://127.0.0.1/\"\nheaders = { " + header + " }", says);
  };
  expect_header_error("\"a b\" = \"x\"", "is no name of a header");
  expect_header_error("\"\" = \"x\"", "is no name of a header");
  expect_header_error("Host = \"x\"", "is set by Sluice itself");
  expect_header_error("content-LENGTH = \"1\"", "is set by Sluice itself");
  expect_header_error("X = \"a\\nb\"", "is no value of a header");
  expect_header_error("X = \"\"", "is no value of a header");
  expect_header_error("X = \" a\"", "is no value of a header");
  expect_header_error("X = 1", "must be text, in quotes");
  expect_error("url = \"http://127.0.0.1/\"\nheaders = 1", "must be a table");
  std::string many;
  for (int i = 0; i < 33; ++i) many += fmt::format("{}X{} = \"x\"", i > 0 ? ", " : "", i);
  expect_header_error(many, "at most 32");
}

TEST(Webhooks, OtherValuesAreCheckedLikeAnyOther) {
  const std::string url = "url = \"http://127.0.0.1/\"\n";
  expect_error(url + "format = \"alertmanger\"", "alertmanager");
  expect_error(url + "events = [\"heath\"]", "health");
  expect_error(url + "events = [\"health\", \"health\"]", "twice");
  expect_error(url + "queue = 0", "from 1 to 10000");
  expect_error(url + "timeout = 5", "duration");
  expect_error(url + "retries = 5", "unknown key");
}

TEST(Webhooks, ThereAreAtMostSixteen) {
  std::string text;
  for (int i = 0; i < 17; ++i) {
    text += fmt::format("[webhooks.w{}]\nurl = \"http://127.0.0.1/\"\n", i);
  }
  const auto config = parse(before_sound(text), "f");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().front().to_string(), HasSubstr("at most 16"));
}

}  // namespace
}  // namespace sluice::conf

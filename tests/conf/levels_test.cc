// Times and sizes of the file, its listeners and its routes: who inherits what, and who has a say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

// The tables of the whole file stand last, so whoever read top down would miss them.
constexpr std::string_view kTopLast = R"(
[listeners.strict]
address = "127.0.0.1:0"
[listeners.strict.timeouts]
request_head = "2s"
[listeners.strict.limits]
head_bytes = "16KiB"
client_streams = 7
[listeners.plain]
address = "127.0.0.1:0"
[backends.blue]
servers = ["127.0.0.1:9001"]
[routes.uploads]
path = "/uploads"
split.blue = 1
timeouts = { stream = "5m", exchange = "0s" }
limits = { body_bytes = 0, request_rate_min = "1KiB" }
[routes.app]
split.blue = 1
[timeouts]
connect = "250ms"
idle = "9s"
stream = "20s"
exchange = "1m"
[limits]
head_bytes = "64KiB"
field_line_bytes = "12KiB"
body_bytes = "1MiB"
client_streams = 50
request_rate_min = 0
retry_body_bytes = 0
)";

Config sound(std::string_view text) {
  const auto config = parse(text, "f");
  EXPECT_TRUE(config) << (config ? "" : config.error()[0].to_string());
  return config.value_or(Config{});
}

std::vector<std::string> errors_of(const std::string& text) {
  const auto config = parse(text, "f");
  std::vector<std::string> errors;
  if (config) return errors;
  for (const ConfigError& error : config.error()) errors.push_back(error.to_string());
  return errors;
}

using Strings = std::vector<std::string>;

TEST(Levels, ListenersInheritFromTheFileWhereverItsTablesStand) {
  const Config config = sound(kTopLast);
  ASSERT_EQ(config.listeners.size(), 2u);
  const Listener& strict = config.listeners[0];
  EXPECT_EQ(strict.timeouts.request_head, seconds(2));
  EXPECT_EQ(strict.timeouts.idle, seconds(9));
  EXPECT_EQ(strict.timeouts.tls_handshake, seconds(10));
  EXPECT_EQ(strict.limits.head_bytes, 16u * 1024);
  EXPECT_EQ(strict.limits.field_line_bytes, 12u * 1024);
  EXPECT_EQ(strict.limits.client_streams, 7u);
  const Listener& plain = config.listeners[1];
  EXPECT_EQ(plain.timeouts.request_head, seconds(10));
  EXPECT_EQ(plain.timeouts.stream, seconds(20));
  EXPECT_EQ(plain.limits.head_bytes, 64u * 1024);
  EXPECT_EQ(plain.limits.client_streams, 50u);
  EXPECT_EQ(config.limits.head_bytes, 64u * 1024);
  EXPECT_EQ(config.timeouts.request_head, seconds(10));
}

TEST(Levels, RoutesInheritFromTheFileAndNotFromEachOther) {
  const Config config = sound(kTopLast);
  ASSERT_EQ(config.routes.size(), 2u);
  const Route& uploads = config.routes[0];
  EXPECT_EQ(uploads.timeouts.connect, milliseconds(250));
  EXPECT_EQ(uploads.timeouts.stream, minutes(5));
  EXPECT_EQ(uploads.timeouts.exchange, Duration::zero());
  EXPECT_EQ(uploads.limits.body_bytes, 0u);
  EXPECT_EQ(uploads.limits.request_rate_min, 1024u);
  EXPECT_EQ(uploads.limits.response_rate_min, 240u);
  EXPECT_EQ(uploads.limits.retry_body_bytes, 0u);
  const Route& app = config.routes[1];
  EXPECT_EQ(app.timeouts.stream, seconds(20));
  EXPECT_EQ(app.timeouts.exchange, minutes(1));
  EXPECT_EQ(app.limits.body_bytes, 1024u * 1024);
  EXPECT_EQ(app.limits.request_rate_min, 0u);
}

TEST(Levels, AKeyWithoutASayIsSentWhereItBelongs) {
  const struct {
    std::string table;
    std::string key;
    std::string places;
  } cases[] = {
      {"listeners.http.timeouts", "connect", "[timeouts] or [routes.NAME.timeouts]"},
      {"listeners.http.timeouts", "response_head", "[timeouts] or [routes.NAME.timeouts]"},
      {"listeners.http.timeouts", "exchange", "[timeouts] or [routes.NAME.timeouts]"},
      {"listeners.http.timeouts", "backend_idle", "[timeouts]"},
      {"routes.app.timeouts", "tls_handshake", "[timeouts] or [listeners.NAME.timeouts]"},
      {"routes.app.timeouts", "request_head", "[timeouts] or [listeners.NAME.timeouts]"},
      {"routes.app.timeouts", "idle", "[timeouts] or [listeners.NAME.timeouts]"},
      {"routes.app.timeouts", "backend_idle", "[timeouts]"},
      {"listeners.http.limits", "body_bytes", "[limits] or [routes.NAME.limits]"},
      {"listeners.http.limits", "request_rate_min", "[limits] or [routes.NAME.limits]"},
      {"listeners.http.limits", "response_rate_min", "[limits] or [routes.NAME.limits]"},
      {"listeners.http.limits", "retry_body_bytes", "[limits] or [routes.NAME.limits]"},
      {"listeners.http.limits", "client_connections", "[limits]"},
      {"listeners.http.limits", "backend_connections", "[limits]"},
      {"listeners.http.limits", "backend_idle_connections", "[limits]"},
      {"listeners.http.limits", "backend_streams", "[limits]"},
      {"listeners.http.limits", "backend_waiting", "[limits]"},
      {"routes.app.limits", "head_bytes", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "request_line_bytes", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "field_line_bytes", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "field_count", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "stream_buffer_bytes", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "requests_per_connection", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "client_streams", "[limits] or [listeners.NAME.limits]"},
      {"routes.app.limits", "backend_streams", "[limits]"},
      {"backends.blue", "timeouts", "[timeouts] or [routes.NAME.timeouts]"},
      {"backends.blue", "limits", "[limits] or [routes.NAME.limits]"},
  };
  for (const auto& [table, key, places] : cases) {
    const bool whole_table = key == "timeouts" || key == "limits";
    const std::string text = whole_table
                                 ? std::string(kSound) + fmt::format("[{}.{}]\n", table, key)
                                 : std::string(kSound) + fmt::format("[{}]\n{} = 1\n", table, key);
    const auto errors = errors_of(text);
    ASSERT_EQ(errors.size(), 1u) << text;
    EXPECT_TRUE(errors[0].ends_with(
        fmt::format(": [{}] has no say in {}; write it in {}", table, key, places)))
        << errors[0];
  }
}

TEST(Levels, MisspeltKeysAreOfferedOnlyWhatTheirLevelHas) {
  EXPECT_EQ(errors_of(std::string(kSound) + "[routes.app.timeouts]\nconect = \"1s\"\n"),
            Strings{"f:10:1: unknown key \"conect\" in [routes.app.timeouts] (did you mean "
                    "\"connect\"?)"});
  EXPECT_EQ(errors_of(std::string(kSound) + "[listeners.http.timeouts]\nconect = \"1s\"\n"),
            Strings{"f:10:1: unknown key \"conect\" in [listeners.http.timeouts]; known are "
                    "tls_handshake, request_head, idle, stream"});
}

TEST(Levels, AListenersLimitsFitTogetherWithWhatTheyInherit) {
  EXPECT_EQ(errors_of(std::string(kSound) + "[listeners.http.limits]\nhead_bytes = \"4KiB\"\n"),
            (Strings{"f:10:14: listeners.http.limits.field_line_bytes (8192) must not be larger "
                     "than listeners.http.limits.head_bytes (4096)",
                     "f:10:14: listeners.http.limits.request_line_bytes (8192) must not be larger "
                     "than listeners.http.limits.head_bytes (4096)"}));
  EXPECT_EQ(errors_of(before_sound("[limits]\nhead_bytes = \"4KiB\"\nrequest_line_bytes = 4096\n"
                                   "field_line_bytes = 4096\n") +
                      "[listeners.http.limits]\nfield_line_bytes = \"8KiB\"\n"),
            Strings{"f:14:20: listeners.http.limits.field_line_bytes (8192) must not be larger "
                    "than listeners.http.limits.head_bytes (4096)"});
}

TEST(Levels, TheFilesOwnMisfitIsReportedOnce) {
  EXPECT_EQ(
      errors_of(before_sound("[limits]\nhead_bytes = \"8KiB\"\nfield_line_bytes = \"9KiB\"\n") +
                "[listeners.http.limits]\nfield_count = 50\n")
          .size(),
      1u);
}

TEST(Levels, RatesAndKeptBodiesHaveBounds) {
  EXPECT_EQ(sound(before_sound("[limits]\nrequest_rate_min = \"1GiB\"\n")).limits.request_rate_min,
            std::uint64_t{1} << 30);
  EXPECT_EQ(sound(before_sound("[limits]\nresponse_rate_min = 0\n")).limits.response_rate_min, 0u);
  const struct {
    std::string line;
    std::string error;
  } cases[] = {
      {"request_rate_min = \"2GiB\"",
       "f:2:20: limits.request_rate_min is \"2GiB\" but must be from 1 to \"1GiB\", or 0 for no "
       "limit"},
      {"retry_body_bytes = \"17MiB\"",
       "f:2:20: limits.retry_body_bytes is \"17MiB\" but must be from 0 to \"16MiB\""},
      {"client_streams = 0", "f:2:18: limits.client_streams is 0 but must be from 1 to 10000"},
      {"backend_streams = 10001",
       "f:2:19: limits.backend_streams is 10001 but must be from 1 to 10000"},
  };
  for (const auto& [line, error] : cases) {
    EXPECT_EQ(errors_of(before_sound("[limits]\n" + line + "\n")), Strings{error});
  }
}

}  // namespace
}  // namespace sluice::conf

// How single values are read: durations, sizes, counts, modes, statuses.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "conf/parser.h"
#include "tests/conf/samples.h"

namespace sluice::conf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

// Errors of a sound file with `table` and `key = value` before it; the value stands in line 2.
std::vector<ConfigError> errors_of(const std::string& table, const std::string& key,
                                   const std::string& value) {
  const auto config = parse(before_sound(fmt::format("[{}]\n{} = {}\n", table, key, value)), "f");
  return config ? std::vector<ConfigError>{} : config.error();
}

Config config_with(const std::string& table, const std::string& key, const std::string& value) {
  const auto config = parse(before_sound(fmt::format("[{}]\n{} = {}\n", table, key, value)), "f");
  EXPECT_TRUE(config) << key << " = " << value << ": "
                      << (config ? "" : config.error()[0].to_string());
  return config.value_or(Config{});
}

struct Refused {
  std::string value;
  std::string message;
  std::string hint;
};

void expect_refused(const std::string& table, const std::string& key, const Refused& refused) {
  const auto errors = errors_of(table, key, refused.value);
  ASSERT_EQ(errors.size(), 1u) << key << " = " << refused.value;
  EXPECT_EQ(errors[0].line, 2);
  EXPECT_EQ(errors[0].column, static_cast<int>(key.size()) + 4);
  EXPECT_EQ(errors[0].message, refused.message);
  EXPECT_EQ(errors[0].hint, refused.hint);
}

TEST(Values, DurationsHaveOneUnit) {
  const std::pair<std::string, Duration> cases[] = {
      {"\"1ms\"", milliseconds(1)}, {"\"1500ms\"", milliseconds(1500)},
      {"\"30s\"", seconds(30)},     {"\"007m\"", minutes(7)},
      {"\"2h\"", hours(2)},         {"\"168h\"", hours(168)},
      {"\"604800s\"", hours(168)},  {"'5s'", seconds(5)},
  };
  for (const auto& [text, duration] : cases) {
    EXPECT_EQ(config_with("timeouts", "connect", text).timeouts.connect, duration) << text;
  }
  EXPECT_EQ(config_with("timeouts", "exchange", "\"0s\"").timeouts.exchange, Duration::zero());
  EXPECT_EQ(config_with("timeouts", "exchange", "\"0h\"").timeouts.exchange, Duration::zero());
}

TEST(Values, WrongDurationsAreExplained) {
  const std::string no_duration =
      " is not a duration: write a whole number and ms, s, m or h, like \"30s\"";
  const std::string bounds = " but must be from \"1ms\" to \"168h\"";
  const Refused cases[] = {
      {"30", "timeouts.idle must be a duration with its unit, like \"30s\", not an integer", "30s"},
      {"1.5",
       "timeouts.idle must be a duration with its unit, like \"30s\", not a number with a fraction",
       ""},
      {"\"\"", "timeouts.idle: \"\"" + no_duration, ""},
      {"\"30\"", "timeouts.idle: \"30\"" + no_duration, "30s"},
      {"\"30 s\"", "timeouts.idle: \"30 s\"" + no_duration, "30s"},
      {"\"30sec\"", "timeouts.idle: \"30sec\"" + no_duration, "30s"},
      {"\"5Min\"", "timeouts.idle: \"5Min\"" + no_duration, "5m"},
      {"\"20millis\"", "timeouts.idle: \"20millis\"" + no_duration, "20ms"},
      {"\"2hours\"", "timeouts.idle: \"2hours\"" + no_duration, "2h"},
      {"\"1d\"", "timeouts.idle: \"1d\"" + no_duration, ""},
      {"\"1.5s\"", "timeouts.idle: \"1.5s\"" + no_duration, ""},
      {"\"-1s\"", "timeouts.idle: \"-1s\"" + no_duration, ""},
      {"\"1h30m\"", "timeouts.idle: \"1h30m\"" + no_duration, ""},
      {"\"9999999999999s\"", "timeouts.idle: \"9999999999999s\"" + no_duration, ""},
      {"\"0s\"", "timeouts.idle is \"0s\"" + bounds, ""},
      {"\"169h\"", "timeouts.idle is \"169h\"" + bounds, ""},
      {"\"999999999999h\"", "timeouts.idle is \"999999999999h\"" + bounds, ""},
  };
  for (const Refused& refused : cases) expect_refused("timeouts", "idle", refused);
  expect_refused("timeouts", "exchange",
                 {"\"169h\"",
                  "timeouts.exchange is \"169h\" but must be from \"1ms\" to \"168h\", or \"0s\" "
                  "for none",
                  ""});
}

TEST(Values, SizesAreBytesOrHaveAUnit) {
  const std::pair<std::string, std::uint64_t> cases[] = {
      {"65536", 65536},     {"0x10000", 65536},        {"\"65536B\"", 65536},
      {"\"64KiB\"", 65536}, {"\"1MiB\"", 1024 * 1024}, {"\"4MiB\"", 4 * 1024 * 1024},
  };
  for (const auto& [text, bytes] : cases) {
    EXPECT_EQ(config_with("limits", "head_bytes", text).limits.head_bytes, bytes) << text;
  }
  EXPECT_EQ(config_with("limits", "body_bytes", "0").limits.body_bytes, 0u);
  EXPECT_EQ(config_with("limits", "body_bytes", "\"0B\"").limits.body_bytes, 0u);
  EXPECT_EQ(config_with("limits", "body_bytes", "\"3GiB\"").limits.body_bytes,
            std::uint64_t{3} << 30);
}

TEST(Values, WrongSizesAreExplained) {
  const std::string no_size =
      " is not a size: write a number of bytes, or a whole number and B, KiB, MiB or GiB, like "
      "\"64KiB\"";
  const std::string bounds = " but must be from \"4KiB\" to \"4MiB\"";
  const Refused cases[] = {
      {"-1", "limits.head_bytes must not be negative", ""},
      {"true",
       "limits.head_bytes must be a number of bytes or a size like \"64KiB\", not true or "
       "false",
       ""},
      {"\"64KB\"", "limits.head_bytes: \"64KB\"" + no_size, "64KiB"},
      {"\"64k\"", "limits.head_bytes: \"64k\"" + no_size, "64KiB"},
      {"\"1 mb\"", "limits.head_bytes: \"1 mb\"" + no_size, "1MiB"},
      {"\"65536\"", "limits.head_bytes: \"65536\"" + no_size, "65536B"},
      {"\"large\"", "limits.head_bytes: \"large\"" + no_size, ""},
      {"100", "limits.head_bytes is 100" + bounds, ""},
      {"\"1GiB\"", "limits.head_bytes is \"1GiB\"" + bounds, ""},
      {"\"999999999999GiB\"", "limits.head_bytes is 18446744073709551615" + bounds, ""},
  };
  for (const Refused& refused : cases) expect_refused("limits", "head_bytes", refused);
}

TEST(Values, CountsHaveBounds) {
  EXPECT_EQ(config_with("limits", "field_count", "8").limits.field_count, 8u);
  expect_refused("limits", "field_count",
                 {"7", "limits.field_count is 7 but must be from 8 to 10000", ""});
  expect_refused("limits", "field_count",
                 {"-9223372036854775808",
                  "limits.field_count is -9223372036854775808 but must be from 8 to 10000", ""});
  expect_refused("limits", "field_count",
                 {"\"100\"", "limits.field_count must be a whole number, not a string", ""});
  expect_refused("health", "rise", {"0", "health.rise is 0 but must be from 1 to 1000", ""});
}

TEST(Values, WorkersAreAutoOrANumber) {
  EXPECT_EQ(config_with("runtime", "workers", "\"auto\"").runtime.workers, std::nullopt);
  EXPECT_EQ(config_with("runtime", "workers", "4").runtime.workers, 4u);
  expect_refused("runtime", "workers",
                 {"\"Auto\"",
                  "runtime.workers is \"Auto\" but must be \"auto\" or a whole number without "
                  "quotes",
                  "auto"});
  expect_refused("runtime", "workers",
                 {"0", "runtime.workers is 0 but must be from 1 to 1024", ""});
  expect_refused(
      "runtime", "workers",
      {"1.5", "runtime.workers must be \"auto\" or a whole number, not a number with a fraction",
       ""});
}

TEST(Values, FileModesAreOctalStrings) {
  EXPECT_EQ(config_with("admin", "unix_socket_mode", "\"600\"").admin.unix_socket_mode, 0600u);
  EXPECT_EQ(config_with("admin", "unix_socket_mode", "\"0777\"").admin.unix_socket_mode, 0777u);
  const std::string no_mode = " is not a file mode: write three octal digits, like \"0660\"";
  for (const char* text : {"\"0888\"", "\"1777\"", "\"66\"", "\"u=rw\"", "\"-60\""}) {
    expect_refused("admin", "unix_socket_mode",
                   {text, fmt::format("admin.unix_socket_mode: {}{}", text, no_mode), ""});
  }
  expect_refused("admin", "unix_socket_mode",
                 {"660",
                  "admin.unix_socket_mode must be a file mode in quotes, like \"0660\", not an "
                  "integer",
                  ""});
}

TEST(Values, StatusesAreOneOrARange) {
  const auto range = [](const std::string& text) {
    const Config config = config_with("health", "status", text);
    return std::pair(config.backends.at(0).health->status_min,
                     config.backends.at(0).health->status_max);
  };
  EXPECT_EQ(range("204"), std::pair(204, 204));
  EXPECT_EQ(range("\"204\""), std::pair(204, 204));
  EXPECT_EQ(range("\"200-399\""), std::pair(200, 399));
  const std::string no_status =
      " but must be a status from 100 to 599 or a rising range like \"200-299\"";
  for (const char* text : {"99", "600", "\"299-200\"", "\"2xx\"", "\"200-\"", "\"200 - 299\"",
                           "\"-200\"", "\"0200-299\"", "-200"}) {
    expect_refused("health", "status",
                   {text, fmt::format("health.status is {}{}", text, no_status), ""});
  }
}

}  // namespace
}  // namespace sluice::conf

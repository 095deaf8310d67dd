#include "proxy/http/message.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "proxy/http/http_date.h"
#include "proxy/http/syntax.h"

namespace sluice::http {
namespace {

using std::string_literals::operator""s;

TEST(FieldId, KnownNamesAreFoundInAnyCase) {
  const std::pair<const char*, FieldId> names[] = {
      {"te", FieldId::te},
      {"Age", FieldId::age},
      {"VIA", FieldId::via},
      {"Host", FieldId::host},
      {"date", FieldId::date},
      {"Expect", FieldId::expect},
      {"Connection", FieldId::connection},
      {"Content-Length", FieldId::content_length},
      {"content-type", FieldId::content_type},
      {"TRANSFER-ENCODING", FieldId::transfer_encoding},
      {"Proxy-Authorization", FieldId::proxy_authorization},
      {"proxy-authenticate", FieldId::proxy_authenticate},
      {"X-Forwarded-For", FieldId::x_forwarded_for},
      {"X-FORWARDED-HOST", FieldId::x_forwarded_host},
      {"x-forwarded-proto", FieldId::x_forwarded_proto},
      {"x-request-id", FieldId::x_request_id},
  };
  for (const auto& [name, id] : names) EXPECT_EQ(field_id(name), id) << name;
}

TEST(FieldId, NearMissesAreOther) {
  for (const std::string& name :
       {""s, "h"s, "hosts"s, "hos"s, "\0ost"s, "H\x0fst"s, "content_length"s, "content-lengtH "s,
        "content\rlength"s, "Transfer-Encodinh"s, "\xc8ost"s, "accept"s, "x-forwarded-port"s}) {
    EXPECT_EQ(field_id(name), FieldId::other) << name;
  }
}

// Every byte against every byte, inside and outside of the blocks that are compared at once.
TEST(EqualsIgnoringCase, OnlyLettersHaveACase) {
  for (const std::size_t size : {1u, 7u, 8u, 9u, 16u, 17u}) {
    std::string a(size, 'x');
    std::string b(size, 'X');
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        a[size / 2] = static_cast<char>(first);
        b[size / 2] = static_cast<char>(second);
        const bool equal = to_lower(a[size / 2]) == to_lower(b[size / 2]);
        ASSERT_EQ(equals_ignoring_case(a, b), equal) << size << " " << first << " " << second;
      }
    }
  }
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
}

TEST(Syntax, FieldValueRefusesEachControlByteAtEachPlace) {
  for (std::size_t size = 0; size < 40; ++size) {
    EXPECT_TRUE(is_field_value(std::string(size, '\x80')));
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        const bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        ASSERT_EQ(is_field_value(text), !control) << size << " " << at << " " << byte;
      }
    }
  }
}

TEST(Syntax, TokensHoldWhatTheGrammarLists) {
  const std::string_view marks = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool expected = alphanumeric || marks.find(c) != std::string_view::npos;
    EXPECT_EQ(is_tchar(c), expected) << byte;
  }
  EXPECT_FALSE(is_token(""));
  EXPECT_FALSE(is_token("a b"));
}

TEST(Fields, KeepOrderTextAndCase) {
  Fields fields;
  fields.append("Accept", "a");
  fields.append("HOST", "h");
  fields.append("accept", "");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[1].name, "HOST");
  EXPECT_EQ(fields[1].id, FieldId::host);
  EXPECT_EQ(fields.find(FieldId::host), "h");
  EXPECT_EQ(fields.find("ACCEPT"), "a");
  EXPECT_EQ(fields.find(FieldId::via), std::nullopt);
  EXPECT_EQ(fields.count(FieldId::host), 1u);
  EXPECT_EQ(fields.text_bytes(), 18u);
  fields.clear();
  EXPECT_TRUE(fields.empty());
  EXPECT_EQ(fields.find("accept"), std::nullopt);
}

TEST(Method, NamesMindTheirCase) {
  EXPECT_EQ(method_from("GET"), Method::get);
  EXPECT_EQ(method_from("DELETE"), Method::del);
  EXPECT_EQ(method_from("PATCH"), Method::patch);
  EXPECT_EQ(method_from("get"), Method::other);
  EXPECT_EQ(method_from(""), Method::other);
  EXPECT_TRUE(is_idempotent(Method::put));
  EXPECT_FALSE(is_idempotent(Method::post));
  EXPECT_FALSE(is_idempotent(Method::other));
}

TEST(HttpDate, HasTheFixedForm) {
  using namespace std::chrono;
  EXPECT_EQ(http_date(WallTime(seconds(784111777))), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(WallTime(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(WallTime(seconds(1709251199) + milliseconds(999))),
            "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(HttpDate, CacheFollowsTheSecond) {
  using namespace std::chrono;
  DateCache cache;
  EXPECT_EQ(cache.text(WallTime(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(cache.text(WallTime(milliseconds(999))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(cache.text(WallTime(seconds(1))), "Thu, 01 Jan 1970 00:00:01 GMT");
  EXPECT_EQ(cache.text(WallTime(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");  // set back
}

}  // namespace
}  // namespace sluice::http

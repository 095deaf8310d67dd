#include "admin/form.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/admin/node.h"
#include "tests/admin/replies.h"

namespace sluice::admin {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::json_of;
using testing::make_request;
using testing::outcome;

std::string as_text(const FieldList& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += "[" + name + "|" + value + "]";
  return text;
}

std::string form(std::string_view text) {
  const auto fields = parse_form(text, "The body");
  return fields ? as_text(*fields) : outcome(fields.error());
}

std::string json_body(std::string_view text) {
  const auto body = parse_json_body(text);
  return body ? as_text(body->texts) + as_text(body->numbers) : outcome(body.error());
}

TEST(PercentDecoding, TakesTwoHexDigitsOrNothing) {
  EXPECT_EQ(percent_decode("a%2Fb%2fc"), "a/b/c");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  for (const char* bad : {"%", "a%", "%4", "%zz", "%4g", "%%41", "% 41", "%-1"})
    EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

TEST(Form, IsReadInOrderAndDecoded) {
  EXPECT_EQ(form(""), "");
  EXPECT_EQ(form("blue=90&green=10"), "[blue|90][green|10]");
  EXPECT_EQ(form("green=10&blue=90"), "[green|10][blue|90]");
  EXPECT_EQ(form("a=1&a=2"), "[a|1][a|2]");
  EXPECT_EQ(form("reason=roll+out%21+%26+more"), "[reason|roll out! & more]");
  EXPECT_EQ(form("a=b=c"), "[a|b=c]");
  EXPECT_EQ(form("a="), "[a|]");
  EXPECT_EQ(form("&&a=1&"), "[a|1]");
  EXPECT_EQ(form("%62lue=90"), "[blue|90]");
}

TEST(Form, WhatIsNotUnderstoodIsRefused) {
  for (const char* bad : {"blue", "=90", "blue=%", "blue=%9", "bl%zz=1", "a=1&blue"})
    EXPECT_EQ(form(bad), "400 bad_form") << bad;
  std::string many;
  for (std::size_t i = 0; i < kFormFieldsMax; ++i) many += "a=1&";
  EXPECT_NE(form(many), "400 bad_form");
  EXPECT_EQ(form(many + "a=1"), "400 bad_form");
}

TEST(JsonBodies, NumbersKeepTheirDigits) {
  EXPECT_EQ(json_body(R"({"blue": 90, "green": 10})"), "[blue|90][green|10]");
  EXPECT_EQ(json_body(R"({"weights": {"blue": 0.10, "green": 99.9}})"), "[blue|0.10][green|99.9]");
  EXPECT_EQ(json_body(R"({"blue": 0.1000000000000000055})"), "[blue|0.1000000000000000055]");
  EXPECT_EQ(json_body(R"({"blue": 123456789012345678901234567890})"),
            "[blue|123456789012345678901234567890]");
  EXPECT_EQ(json_body(R"({"blue": -5, "green": 1e2})"), "[blue|-5][green|1e2]");
}

TEST(JsonBodies, RepeatedMembersAreSeen) {
  EXPECT_EQ(json_body(R"({"blue": 1, "blue": 2})"), "[blue|1][blue|2]");
  EXPECT_EQ(json_body(R"({"weights": {"blue": 1, "blue": 2}})"), "[blue|1][blue|2]");
  EXPECT_EQ(json_body(R"({"weights": {"blue": 1}, "weights": {"blue": 2}})"), "400 bad_json");
}

TEST(JsonBodies, TextStandsBesideWeights) {
  EXPECT_EQ(json_body(R"({"author": "ci", "weights": {"author": 1}, "reason": "r\u00e9"})"),
            "[author|ci][reason|r\xc3\xa9][author|1]");
  EXPECT_EQ(json_body(R"({"to": "green"})"), "[to|green]");
  EXPECT_EQ(json_body("{}"), "");
}

TEST(JsonBodies, WhatIsNotUnderstoodIsRefused) {
  const std::string deep(30'000, '[');
  const std::string nested = "{\"weights\": {\"weights\": {\"blue\": 1}}}";
  for (const std::string& bad : {std::string("{"),
                                 std::string("{\"blue\": }"),
                                 std::string("{\"blue\": 1,}"),
                                 std::string("{\"blue\": 1} x"),
                                 std::string("blue=90"),
                                 std::string("[1]"),
                                 std::string("5"),
                                 std::string("\"text\""),
                                 std::string("null"),
                                 std::string("true"),
                                 std::string("{\"blue\": null}"),
                                 std::string("{\"blue\": true}"),
                                 std::string("{\"blue\": [1]}"),
                                 std::string("{\"blue\": {\"a\": 1}}"),
                                 std::string("{\"weights\": 5}"),
                                 std::string("{\"weights\": \"x\"}"),
                                 std::string("{\"weights\": [1]}"),
                                 std::string("{\"weights\": {\"blue\": \"1\"}}"),
                                 std::string("{\"weights\": {\"blue\": NaN}}"),
                                 std::string("{\"blue\": Infinity}"),
                                 std::string("{\"blue\": 1e999}"),
                                 std::string("{\"blue\": 01}"),
                                 std::string("{\"blue\": .5}"),
                                 std::string("{\"bl\xff\": 1}"),
                                 std::string("{\"a\": \"\xc0\xaf\"}"),
                                 std::string("{\"a\": \"\\ud800\"}"),
                                 std::string("{\"weights\": {\"blue\": 1}, \"green\": 2}"),
                                 std::string(1, '\0'),
                                 deep,
                                 nested}) {
    EXPECT_EQ(json_body(bad), "400 bad_json") << bad.substr(0, 80);
  }
}

TEST(JsonBodies, ErrorsSayWhatAndWhereInAFewWords) {
  const auto detail = [](std::string_view text) {
    return json_of(parse_json_body(text).error())["detail"].get<std::string>();
  };
  EXPECT_NE(detail("{\"blue\": }").find("byte 10"), std::string::npos) << detail("{\"blue\": }");
  EXPECT_NE(detail("{\"blue\": true}").find("\"blue\" is true or false"), std::string::npos);
  EXPECT_LT(detail("{\"" + std::string(60'000, 'x')).size(), 500u);
}

class Parameters_ : public ::testing::Test {
 protected:
  static constexpr std::array<std::string_view, 3> kNames = {"author", "reason", "format"};
  static std::string read(const Request& request, std::string_view query, bool weights) {
    const auto parameters =
        read_parameters(request, query, {.names = kNames, .body = true, .weights = weights});
    if (!parameters) return outcome(parameters.error());
    std::string text = as_text(parameters->weights);
    for (const auto& [name, value] : parameters->texts) text += name + "=" + value + ";";
    return text;
  }
};

TEST_F(Parameters_, ComeFromQueryAndBody) {
  EXPECT_EQ(read(make_request("PUT", "/", "blue=90&author=ci&green=10"), "reason=why", true),
            "[blue|90][green|10]author=ci;reason=why;");
  EXPECT_EQ(read(make_request("PUT", "/", R"({"blue": 90, "author": "ci"})", "application/json"),
                 "", true),
            "[blue|90]author=ci;");
}

TEST_F(Parameters_, ContentTypeIsReadWithoutCaseAndParameters) {
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8",
                           "application/json;charset=UTF-8", " application/json "}) {
    EXPECT_EQ(read(make_request("PUT", "/", R"({"blue": 1})", type), "", true), "[blue|1]") << type;
  }
  for (const char* type :
       {"text/plain", "", "multipart/form-data; boundary=x", "application/xml"}) {
    EXPECT_EQ(read(make_request("PUT", "/", "blue=1", type), "", true),
              "415 unsupported_content_type")
        << type;
  }
  EXPECT_EQ(read(make_request("PUT", "/", "blue=1", std::nullopt), "", true),
            "415 unsupported_content_type");
}

TEST_F(Parameters_, JsonSentAsAFormIsToldSo) {
  const Request request = make_request("PUT", "/", R"({"blue": 1})");
  EXPECT_EQ(read(request, "", true), "415 not_a_form");
}

TEST_F(Parameters_, UnknownAndRepeatedOnesAreRefused) {
  EXPECT_EQ(read(make_request("PUT", "/", "blue=1"), "foramt=text", true), "400 unknown_parameter");
  EXPECT_EQ(read(make_request("PUT", "/", "blue=1"), "blue=1", true), "400 unknown_parameter");
  EXPECT_EQ(read(make_request("POST", "/", "blue=1"), "", false), "400 unknown_parameter");
  EXPECT_EQ(read(make_request("POST", "/", R"({"blue": 1})", "application/json"), "", false),
            "400 unknown_parameter");
  EXPECT_EQ(read(make_request("POST", "/", R"({"weights": {}})", "application/json"), "", false),
            "400 unknown_parameter");
  EXPECT_EQ(read(make_request("PUT", "/", "author=a&author=a"), "", true),
            "400 repeated_parameter");
  EXPECT_EQ(read(make_request("PUT", "/", "author=a"), "author=a", true), "400 repeated_parameter");
}

TEST_F(Parameters_, TextWhereAWeightBelongsIsRefused) {
  EXPECT_EQ(read(make_request("PUT", "/", R"({"blue": "1"})", "application/json"), "", true),
            "422 bad_weight");
  EXPECT_EQ(read(make_request("PUT", "/", R"({"author": 1})", "application/json"), "", true),
            "422 bad_parameter");
}

TEST_F(Parameters_, BodiesAreBounded) {
  const std::string name(kBodyBytesMax - 2, 'x');
  EXPECT_NE(read(make_request("PUT", "/", name + "=1"), "", true), "413 body_too_large");
  EXPECT_EQ(read(make_request("PUT", "/", name + "=12"), "", true), "413 body_too_large");
}

TEST(Wait, TakesAWholeNumberAndAUnitUpToTheBound) {
  EXPECT_EQ(parse_wait("60s").value(), seconds(60));
  EXPECT_EQ(parse_wait("500ms").value(), milliseconds(500));
  EXPECT_EQ(parse_wait("2m").value(), minutes(2));
  EXPECT_EQ(parse_wait("10m").value(), minutes(10));
  EXPECT_EQ(parse_wait("0s").value(), seconds(0));
  for (const char* bad : {"", "60", "s", "-1s", "1.5s", "1h", "60 s", "601s", "11m", "1s ", "+1s",
                          "99999999999999999999s", "9223372036854775807ms", "\xff"}) {
    const auto wait = parse_wait(bad);
    ASSERT_FALSE(wait) << bad;
    EXPECT_EQ(outcome(wait.error()), "422 bad_wait") << bad;
  }
}

TEST(Remarks, AreTextWithoutControlCharactersAndBounded) {
  EXPECT_EQ(parse_remark("reason", "r\xc3\xa9sum\xc3\xa9 \"x\"", 100).value(),
            "r\xc3\xa9sum\xc3\xa9 \"x\"");
  EXPECT_EQ(parse_remark("reason", std::string(100, 'x'), 100).value().size(), 100u);
  for (const std::string& bad :
       {std::string(101, 'x'), std::string("a\nb"), std::string("a\0b", 3), std::string("\x1b[31m"),
        std::string("\x7f"), std::string("\xff"), std::string("\xc3")}) {
    const auto remark = parse_remark("reason", bad, 100);
    ASSERT_FALSE(remark);
    EXPECT_EQ(outcome(remark.error()), "422 bad_remark");
  }
}

TEST(IfMatch, OnlyAStrongTagOfTheCurrentRevisionMatches) {
  const auto check = [](std::optional<std::string> if_match) -> std::string {
    Request request = make_request("PUT", "/");
    request.if_match = std::move(if_match);
    const auto result = check_if_match(request, 5, "Route app");
    if (!result) return outcome(result.error()) + " " + testing::field(result.error(), "ETag");
    return *result ? std::to_string(**result) : "no condition";
  };
  EXPECT_EQ(check(std::nullopt), "no condition");
  EXPECT_EQ(check("*"), "no condition");
  EXPECT_EQ(check(" * "), "no condition");
  EXPECT_EQ(check("\"5\""), "5");
  EXPECT_EQ(check("\"4\", \"5\""), "5");
  EXPECT_EQ(check("\"a,b\",,\"5\" ,"), "5");
  EXPECT_EQ(check("\"4\""), "412 stale \"5\"");
  EXPECT_EQ(check("\"05\""), "412 stale \"5\"");
  EXPECT_EQ(check("\"\""), "412 stale \"5\"");
  EXPECT_EQ(check("W/\"5\""), "412 stale \"5\"");
  EXPECT_EQ(check("\"4\", W/\"5\""), "412 stale \"5\"");
  for (const char* bad :
       {"", "5", "\"5", "5\"", ",", "\"5\" \"6\"", "*, \"5\"", "w/\"5\"", "W/", "W/5", "\"5\"x"}) {
    EXPECT_EQ(check(bad), "400 bad_if_match ") << bad;
  }
}

}  // namespace
}  // namespace sluice::admin

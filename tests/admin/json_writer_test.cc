#include "admin/json_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "admin/table.h"

namespace sluice::admin {
namespace {

TEST(JsonWriter, LaysOutForPeople) {
  JsonWriter json;
  json.begin_object();
  json.key("name").value("app");
  json.key("weights").begin_object(JsonWriter::Layout::one_line);
  json.key("blue").value(*Decimal::parse("0.000001"));
  json.key("green").value(*Decimal::parse("999999999.999999"));
  json.end_object();
  json.key("list").begin_array();
  json.value(1);
  json.value(std::uint64_t{18446744073709551615u});
  json.value(-3);
  json.end_array();
  json.key("empty").begin_object();
  json.end_object();
  json.key("flag").value(true);
  json.key("ratio").value(0.12345, 3);
  json.key("nothing").null();
  json.end_object();
  EXPECT_EQ(json.finish(),
            "{\n"
            "  \"name\": \"app\",\n"
            "  \"weights\": {\"blue\": 0.000001, \"green\": 999999999.999999},\n"
            "  \"list\": [\n    1,\n    18446744073709551615,\n    -3\n  ],\n"
            "  \"empty\": {},\n"
            "  \"flag\": true,\n"
            "  \"ratio\": 0.123,\n"
            "  \"nothing\": null\n"
            "}\n");
}

TEST(JsonWriter, OneLineHoldsForAllThatIsWithin) {
  JsonWriter json(JsonWriter::Layout::one_line);
  json.begin_object();
  json.key("a").begin_array();
  json.begin_object();
  json.key("b").value("c");
  json.end_object();
  json.value(2);
  json.end_array();
  json.end_object();
  EXPECT_EQ(json.finish(), "{\"a\": [{\"b\": \"c\"}, 2]}\n");
}

TEST(JsonWriter, WhateverBytesComeTheDocumentIsValid) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 20, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    JsonWriter json;
    json.begin_object();
    json.key(bytes).value(bytes);
    json.end_object();
    const std::string text = json.finish();
    const auto parsed = nlohmann::json::parse(text, nullptr, false);
    ASSERT_FALSE(parsed.is_discarded()) << text;
    ASSERT_EQ(parsed.begin().value(), to_valid_utf8(bytes));
  }
}

TEST(Utf8, WhatIsNoneIsReplacedByteByByte) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(to_valid_utf8("a\xc3\xa9\xf0\x9f\x98\x80z"), "a\xc3\xa9\xf0\x9f\x98\x80z");
  EXPECT_EQ(to_valid_utf8("\xff"), bad);
  EXPECT_EQ(to_valid_utf8("\xc0\xaf"), bad + bad);                      // overlong
  EXPECT_EQ(to_valid_utf8("\xe0\x80\x80"), bad + bad + bad);            // overlong
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(to_valid_utf8("\xf4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
  EXPECT_EQ(to_valid_utf8("\xc3"), bad);
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_FALSE(is_valid_utf8("a\x80"));
}

TEST(Table, AlignsAndShowsNothingThatATerminalObeys) {
  Table table({"A", "LONGER", "C"});
  table.add({"wide cell", "", "x"});
  table.add({"1", "\x1b[31m\xff", "y"});
  EXPECT_EQ(table.finish(),
            "A          LONGER  C\n"
            "wide cell  -       x\n"
            "1          ?[31m\xEF\xBF\xBD  y\n");
}

}  // namespace
}  // namespace sluice::admin

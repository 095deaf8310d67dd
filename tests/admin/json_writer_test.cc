#include "admin/json_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "admin/table.h"

namespace sluice::admin {
namespace {

TEST(JsonWriter, LaysOutForPeople) {
  JsonWriter writer;
  writer.begin_object();
  writer.key("name").value("app");
  writer.key("weights").begin_object(JsonWriter::Layout::one_line);
  writer.key("blue").value(*Decimal::parse("0.000001"));
  writer.key("green").value(*Decimal::parse("999999999.999999"));
  writer.end_object();
  writer.key("list").begin_array();
  writer.value(1);
  writer.value(std::uint64_t{18446744073709551615u});
  writer.value(-3);
  writer.end_array();
  writer.key("empty").begin_object();
  writer.end_object();
  writer.key("flag").value(true);
  writer.key("ratio").value(0.12345, 3);
  writer.key("nothing").null();
  writer.end_object();
  EXPECT_EQ(writer.finish(),
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
  JsonWriter writer(JsonWriter::Layout::one_line);
  writer.begin_object();
  writer.key("a").begin_array();
  writer.begin_object();
  writer.key("b").value("c");
  writer.end_object();
  writer.value(2);
  writer.end_array();
  writer.end_object();
  EXPECT_EQ(writer.finish(), "{\"a\": [{\"b\": \"c\"}, 2]}\n");
}

TEST(JsonWriter, WhateverBytesComeTheDocumentIsValid) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 20, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    JsonWriter writer;
    writer.begin_object();
    writer.key(bytes).value(bytes);
    writer.end_object();
    const std::string text = writer.finish();
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

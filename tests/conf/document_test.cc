#include "conf/document.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::conf {
namespace {

std::vector<std::string> keys_of(const Value& table) {
  std::vector<std::string> keys;
  for (const Entry& entry : table.entries) keys.push_back(entry.key);
  return keys;
}

TEST(Document, EntriesKeepTheOrderOfTheText) {
  const auto document = read_document("[z]\nb = 1\na = 2\n[y]\n[x.sub]\n[a]\n[x]\n");
  ASSERT_TRUE(document);
  EXPECT_EQ(keys_of(*document), (std::vector<std::string>{"z", "y", "x", "a"}));
  EXPECT_EQ(keys_of(document->find("z")->value), (std::vector<std::string>{"b", "a"}));
}

TEST(Document, EverythingKnowsItsPlace) {
  const auto document = read_document("\n[one.two]\n  key = [ \"a\",\n    7 ]\n");
  ASSERT_TRUE(document);
  const Entry& two = *document->find("one")->value.find("two");
  EXPECT_EQ(two.place(), (Position{2, 6}));
  const Entry& key = *two.value.find("key");
  EXPECT_EQ(key.at, (Position{3, 3}));
  EXPECT_EQ(key.place(), (Position{3, 9}));
  EXPECT_EQ(key.value.items.at(0).at, (Position{3, 11}));
  EXPECT_EQ(key.value.items.at(1).at, (Position{4, 5}));
}

TEST(Document, ValuesComeWithTheirTypes) {
  const auto document = read_document(
      "s = 'x'\ni = 0x10\nf = 1.5\nb = true\nd = 1979-05-27\nt = 07:32:00\na = []\no = {}\n");
  ASSERT_TRUE(document);
  const auto type = [&](std::string_view key) { return document->find(key)->value.type; };
  EXPECT_EQ(type("s"), Value::Type::string);
  EXPECT_EQ(type("i"), Value::Type::integer);
  EXPECT_EQ(document->find("i")->value.integer, 16);
  EXPECT_EQ(type("f"), Value::Type::floating);
  EXPECT_EQ(type("b"), Value::Type::boolean);
  EXPECT_EQ(type("d"), Value::Type::date);
  EXPECT_EQ(type("t"), Value::Type::date);
  EXPECT_EQ(type("a"), Value::Type::array);
  EXPECT_EQ(type("o"), Value::Type::table);
  for (const char* missing : {"missing", "", "zzz", "ss"}) {
    EXPECT_EQ(document->find(missing), nullptr) << missing;
  }
}

TEST(Document, TheFirstSyntaxErrorIsReportedWithItsPlace) {
  const struct {
    std::string text;
    Position at;
  } cases[] = {
      {"a = 1\na = 2\n", {2, 5}},
      {"[a]\nb = 1\n[a]\n", {3, 1}},
      {"a = 1\nb = \"open\n", {2, 10}},
      {"a = 1\n\nb = \"\xff\"\n", {3, 5}},
      {"a = 99999999999999999999", {1, 25}},
      {"[|a]\n", {1, 2}},
      {"a = 1\n[[=]]\n", {2, 3}},
      {"[list\xc9\x97ner]\n", {1, 6}},
      {"a = \xe2\x80\x9cx\xe2\x80\x9d\n", {1, 5}},
      {"a = \"\"\"\\\xc9\x97\"\"\"\n", {1, 9}},
  };
  for (const auto& [text, at] : cases) {
    const auto document = read_document(text);
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().at.line, at.line) << text << document.error().message;
    EXPECT_EQ(document.error().at.column, at.column) << text << document.error().message;
    EXPECT_TRUE(document.error().message.starts_with("not TOML: ")) << document.error().message;
  }
}

TEST(Document, LettersOutsideAsciiAreFineInStringsAndComments) {
  const auto document = read_document(
      "a = \"\xc9\x97\" # \xc9\x97\nb = \"\"\"\\\n  \xc9\x97 \"\"\"\n'\xc9\x97' = '\xc9\x97'\n");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(document->find("a")->value.text, "\xc9\x97");
  EXPECT_EQ(document->find("b")->value.text, "\xc9\x97 ");
  EXPECT_NE(document->find("\xc9\x97"), nullptr);
}

TEST(Document, DeepKeysAreRefusedBeforeTheyCanExhaustTheStack) {
  std::string key = "a";
  for (int part = 1; part < kKeyPartsMax; ++part) key += ".a";
  EXPECT_TRUE(read_document(key + " = 1\n[b." + key.substr(2) + "]\n"));
  const auto deep = read_document("x = 1\n" + key + ".a = 1\n");
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().at, (Position{2, 16}));
  EXPECT_EQ(deep.error().message, "a key has at most 8 parts");

  std::string very_deep = "a";
  for (int part = 0; part < 200'000; ++part) very_deep += ".a";
  EXPECT_FALSE(read_document(very_deep + " = 1\n"));
  EXPECT_FALSE(read_document("[" + very_deep + "]\n"));
  EXPECT_FALSE(read_document("x = { " + very_deep + " = 1 }\n"));
  EXPECT_FALSE(read_document("x = " + std::string(100'000, '[')));
}

TEST(Document, DotsOutsideKeysDoNotCount) {
  const std::string dots = "1.2.3.4.5.6.7.8.9.10";
  const std::string texts[] = {
      "a = \"" + dots + "\"\n",
      "a = '" + dots + "'\n",
      "a = \"\\\"" + dots + "\"\n",
      "a = \"\"\"\n" + dots + " \\\n\"\"" + dots + "\"\"\"\"\"\nb = 1\n",
      "a = '''\n" + dots + "\\'''\nb = 1\n",
      "# " + dots + "\na = 1\n",
      "a = [1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1]\n",
      "\"" + dots + "\" = 1\n",
      "a = \"\" # '\nb = ''\n# \"\"\"\nc = 1\n",
  };
  for (const std::string& text : texts) {
    const auto document = read_document(text);
    EXPECT_TRUE(document) << text << (document ? "" : document.error().message);
  }
}

TEST(Document, DotsBehindStringsOfEveryFormCount) {
  const std::string deep = "b.b.b.b.b.b.b.b.b = 1\n";
  const std::string strings[] = {
      "\"\"",         "''",        "\"\\\\\"",        "'\\'",
      "\"\"\"\"\"\"", "''''''",    "\"\"\"a\"\"\"",   "\"\"\"a\"\"\"\"\"",
      "'''a'''''",    "\"\\\"#\"", "\"\"\"\\\n\"\"\""};
  for (const std::string& string : strings) {
    const auto document = read_document("a = " + string + "\n" + deep);
    ASSERT_FALSE(document) << string;
    EXPECT_EQ(document.error().message, "a key has at most 8 parts") << string;
  }
}

}  // namespace
}  // namespace sluice::conf

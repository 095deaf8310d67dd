#include "routing/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "proxy/base/crc32c.h"
#include "routing/record_body.h"
#include "tests/routing/routing_fixture.h"

namespace sluice::routing {
namespace {

using testing::HasSubstr;

Revision revision(RevisionNumber number, RevisionNumber parent) {
  Revision made;
  made.number = number;
  made.parent = parent;
  made.time = WallTime(Duration(1'795'000'000'123'456'789 + static_cast<std::int64_t>(number)));
  made.origin = {"uid:0", "ann", "because"};
  made.routes = {
      {"app", setting(blue_green("90", "10")), setting(blue_green("50", "50.000001")), {}}};
  return made;
}

std::vector<Revision> some_revisions() {
  std::vector<Revision> revisions;
  Revision reload = revision(1, 0);
  reload.kind = RevisionKind::reload;
  reload.origin = {"file", "", ""};
  reload.routes = {{"app", {}, setting(blue_green("90", "10")), blue_green("90", "10")},
                   {"gone", setting(blue_green("1", "0")), {}, {}}};
  reload.drains = {{{"blue", "old"}, true, false}};
  revisions.push_back(reload);
  revisions.push_back(revision(2, 1));
  Revision drain = revision(3, 2);
  drain.kind = RevisionKind::drain;
  drain.routes.clear();
  drain.drains = {{{"blue", "127.0.0.1:80"}, false, true}};
  revisions.push_back(drain);
  Revision odd = revision(7, 3);
  odd.kind = RevisionKind::switch_to;
  odd.origin = {"token:ci", "Zoë \"z\" \\", "line\nline\ttab\x01 and \x7f \xf0\x9f\x9a\xa2"};
  revisions.push_back(odd);
  Revision last = revision(8, 7);
  last.kind = RevisionKind::resume;
  last.routes.clear();
  last.drains = {{{"blue", "unix:/run/b.sock"}, true, false}};
  revisions.push_back(last);
  return revisions;
}

std::vector<std::string> encode(const std::vector<Revision>& revisions) {
  std::vector<std::string> records;
  std::uint32_t chain = ledger_chain_start();
  for (const Revision& made : revisions) {
    const auto record = encode_record(made, chain);
    EXPECT_TRUE(record) << record.error();
    chain = record->chain;
    records.push_back(record->text);
  }
  return records;
}

std::string file_of(const std::vector<std::string>& records) {
  std::string file(kLedgerHeader);
  for (const std::string& record : records) file += record;
  return file;
}

// A record around any body, with the checksum that makes it whole.
std::string framed(std::string_view body, std::uint32_t chain = ledger_chain_start()) {
  const std::string covered = std::to_string(body.size()) + ' ' + std::string(body);
  char crc[16];
  std::snprintf(crc, sizeof crc, "%08x ", crc32c(as_bytes(covered), chain));
  return crc + covered + '\n';
}

TEST(Ledger, RoundTrips) {
  const std::vector<Revision> revisions = some_revisions();
  const std::string file = file_of(encode(revisions));
  const auto contents = read_ledger(file);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->revisions, revisions);
  EXPECT_EQ(contents->good_bytes, file.size());
  EXPECT_EQ(contents->torn_bytes, 0u);
}

TEST(Ledger, CanBeContinuedWhereReadingStopped) {
  std::vector<Revision> revisions = some_revisions();
  std::string file = file_of(encode(revisions));
  const auto contents = read_ledger(file);
  ASSERT_TRUE(contents);
  revisions.push_back(revision(9, 8));
  file += encode_record(revisions.back(), contents->chain)->text;
  const auto continued = read_ledger(file);
  ASSERT_TRUE(continued) << continued.error().message;
  EXPECT_EQ(continued->revisions, revisions);
}

// The format is final: files written by any version must stay readable. These bytes never change.
TEST(Ledger, WritesTheseExactBytes) {
  Revision first = revision(1, 0);
  first.kind = RevisionKind::reload;
  first.origin = {"file", "", ""};
  first.routes = {{"app", {}, setting(blue_green("90", "10")), blue_green("90", "10")}};
  first.drains = {{{"blue", "b1"}, true, false}};
  EXPECT_EQ(file_of(encode({first})),
            "sluice-ledger 1\n"
            "1b0cd720 405 {\"number\":1,\"parent\":0,\"kind\":\"reload\","
            "\"time\":\"2026-11-18T11:06:40.123456790Z\",\"identity\":\"file\",\"author\":\"\","
            "\"reason\":\"\",\"weights\":[{\"route\":\"app\",\"before\":[],"
            "\"after\":[{\"backend\":\"blue\",\"weight\":\"90\"},{\"backend\":\"green\",\"weight\":"
            "\"10\"}],"
            "\"file\":[{\"backend\":\"blue\",\"weight\":\"90\"},{\"backend\":\"green\",\"weight\":"
            "\"10\"}]}],"
            "\"drains\":[{\"backend\":\"blue\",\"server\":\"b1\",\"before\":true,\"after\":false}],"
            "\"result\":\"applied\"}\n");
}

TEST(Ledger, AnEmptyFileIsANewLedger) {
  const auto contents = read_ledger("");
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->good_bytes, 0u);
  EXPECT_EQ(contents->torn_bytes, 0u);
  EXPECT_EQ(contents->chain, ledger_chain_start());
  EXPECT_TRUE(read_ledger(kLedgerHeader)->revisions.empty());
}

TEST(Ledger, EveryTruncationIsCleanOrTornAndNeverDamage) {
  const std::vector<Revision> revisions = some_revisions();
  const std::vector<std::string> records = encode(revisions);
  const std::string file = file_of(records);
  std::size_t whole = 0;  // records that are whole at this size
  std::size_t good = 0;
  for (std::size_t size = 0; size <= file.size(); ++size) {
    if (size == kLedgerHeader.size()) good = size;
    if (whole < records.size() && good > 0 && size == good + records[whole].size()) {
      good = size;
      ++whole;
    }
    const auto contents = read_ledger(std::string_view(file).substr(0, size));
    ASSERT_TRUE(contents) << size << ": " << contents.error().message;
    ASSERT_EQ(contents->good_bytes, good) << size;
    ASSERT_EQ(contents->torn_bytes, size - good) << size;
    ASSERT_EQ(contents->revisions.size(), whole);
    ASSERT_TRUE(
        std::equal(contents->revisions.begin(), contents->revisions.end(), revisions.begin()));
  }
  EXPECT_EQ(whole, records.size());
}

TEST(Ledger, ATornTailFilledUpWithZeroBytesIsTorn) {
  const std::string file = file_of(encode(some_revisions()));
  for (std::size_t size = 0; size <= file.size(); ++size) {
    const std::string filled = file.substr(0, size) + std::string(512, '\0');
    const auto plain = read_ledger(std::string_view(file).substr(0, size));
    const auto contents = read_ledger(filled);
    ASSERT_TRUE(contents) << size << ": " << contents.error().message;
    ASSERT_EQ(contents->good_bytes, plain->good_bytes);
    ASSERT_EQ(contents->torn_bytes, filled.size() - plain->good_bytes);
  }
}

TEST(Ledger, ZeroBytesBeforeMoreRecordsAreDamage) {
  const std::vector<std::string> records = encode(some_revisions());
  std::string file = file_of(records);
  const std::size_t at = kLedgerHeader.size() + records[0].size() + 20;
  std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(at), 40, '\0');
  const auto contents = read_ledger(file);
  ASSERT_FALSE(contents);
  EXPECT_EQ(contents.error().offset, kLedgerHeader.size() + records[0].size());
}

// Better than a torn tail: a whole record that has changed, even the last one, is never cut as if
// it had not been acknowledged.
TEST(Ledger, EveryFlippedBitIsDamageAtItsRecord) {
  const std::vector<std::string> records = encode(some_revisions());
  const std::string file = file_of(records);
  std::size_t record_start = 0;
  std::size_t record_end = kLedgerHeader.size();
  std::size_t next = 0;
  for (std::size_t at = 0; at < file.size(); ++at) {
    if (at == record_end) {
      record_start = at;
      record_end += records[next++].size();
    }
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = file;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      const auto contents = read_ledger(flipped);
      ASSERT_FALSE(contents) << "byte " << at << " bit " << bit;
      ASSERT_EQ(contents.error().offset, record_start) << "byte " << at << " bit " << bit;
      ASSERT_FALSE(contents.error().message.empty());
    }
  }
}

TEST(Ledger, RemovedRepeatedAndMovedRecordsAreDamage) {
  const std::vector<std::string> records = encode(some_revisions());
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::vector<std::string> repeated = records;
    repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(i), records[i]);
    EXPECT_FALSE(read_ledger(file_of(repeated))) << "repeated " << i;
    for (std::size_t j = i + 1; j < records.size(); ++j) {
      std::vector<std::string> swapped = records;
      std::swap(swapped[i], swapped[j]);
      EXPECT_FALSE(read_ledger(file_of(swapped))) << "swapped " << i << " and " << j;
    }
    if (i + 1 == records.size()) continue;  // without its last record a ledger is an older one
    std::vector<std::string> removed = records;
    removed.erase(removed.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(read_ledger(file_of(removed))) << "removed " << i;
  }
}

TEST(Ledger, ARecordOfAnotherLedgerIsDamage) {
  std::vector<Revision> others = some_revisions();
  others[0].origin.reason = "another past";
  std::vector<std::string> records = encode(some_revisions());
  records[1] = encode(others)[1];
  const auto contents = read_ledger(file_of(records));
  ASSERT_FALSE(contents);
  EXPECT_THAT(contents.error().message, HasSubstr("the record after revision 1: its checksum is"));
}

TEST(Ledger, SaysWhatIsWrongWithTheFile) {
  const std::string header(kLedgerHeader);
  const struct {
    std::string file;
    std::size_t offset;
    const char* says;
  } cases[] = {
      {"[server]\nport=1", 0, "is no ledger: it begins with \"[server]\", not \"sluice-ledger 1\""},
      {"sluice-ledger 2\n", 0, "of a version that this Sluice does not read"},
      {"sluice-ledger 1 \n", 0, "of a version"},
      {header + "\n", 16, "the first record: it does not begin with a checksum"},
      {header + "0000000g 1 {", 16, "8 hex digits"},
      {header + "0000000A 1 {", 16, "8 hex digits"},
      {header + "00000000  1 {", 16, "no length"},
      {header + "00000000 x", 16, "no length"},
      {header + "00000000 01 {", 16, "its length begins with 0"},
      {header + "00000000 0 \n", 16, "its length begins with 0"},
      {header + "00000000 123456789 {", 16, "no length of 1 to 8 digits"},
      {header + "00000000 16777217 {", 16, "at most 16777216"},
      {header + "00000000 2 {}\n", 16, "its checksum is 00000000, but its bytes give"},
      {header + "00000000 9 {\n", 16, "shorter than the 9 bytes it states"},
      {header + framed("{}").substr(0, 13) + "x\n", 16, "no line feed follows"},
  };
  for (const auto& c : cases) {
    const auto contents = read_ledger(c.file);
    ASSERT_FALSE(contents) << c.file;
    EXPECT_EQ(contents.error().offset, c.offset) << c.file;
    EXPECT_THAT(contents.error().message, HasSubstr(c.says));
  }
}

TEST(Ledger, NumbersGrowAndParentsAreThePreviousNumber) {
  const std::pair<RevisionNumber, RevisionNumber> wrong[] = {
      {1, 1}, {2, 0}, {3, 1}, {2, 2}, {1, 2}};
  for (const auto& [number, parent] : wrong) {
    const auto contents = read_ledger(file_of(encode({revision(2, 0), revision(number, parent)})));
    ASSERT_FALSE(contents) << number << ' ' << parent;
    EXPECT_THAT(contents.error().message, HasSubstr("its parent must be 2"));
  }
  EXPECT_FALSE(read_ledger(file_of(encode({revision(0, 0)}))));
  EXPECT_FALSE(read_ledger(file_of(encode({revision(5, 4)}))));
  EXPECT_TRUE(read_ledger(file_of(encode({revision(2, 0), revision(5, 2)}))));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// Whoever writes a ledger by hand, checksum and all, still can't bring a wrong revision in.
TEST(Ledger, EveryFieldOfABodyIsChecked) {
  Revision first = revision(1, 0);
  first.drains = {{{"blue", "b1"}, true, false}};
  const std::string body = encode_body(first);
  ASSERT_TRUE(decode_body(body));
  const struct {
    const char* from;
    const char* to;
    const char* says;
  } cases[] = {
      {"{\"number\":1", "\"number\":1", "not JSON"},
      {"\"number\":1", "\"number\":\"1\"", "number is not a whole number"},
      {"\"number\":1", "\"number\":-1", "number is not a whole number"},
      {"\"number\":1", "\"number\":1.0", "number is not a whole number"},
      {"\"number\":1", "\"number\":18446744073709551616", "number is not a whole number"},
      {"\"number\":1,", "", "has no key \"number\""},
      {"\"parent\":0", "\"parent\":null", "parent is not"},
      {"\"shift\"", "\"undo\"", "kind is \"undo\", which this version does not know"},
      {"\"shift\"", "7", "kind is not a string"},
      {"\"2026-", "\"2026/", "time is not a UTC time"},
      {"\"uid:0\"", "0", "identity is not a string"},
      {"\"ann\"", "[]", "author is not a string"},
      {"\"because\"", "{}", "reason is not a string"},
      {"\"applied\"", "\"\"", "result is empty"},
      {"\"result\"", "\"outcome\"", "has no key \"result\""},
      {"\"result\"", "\"extra\":1,\"result\"",
       "the key \"extra\", which this version does not know"},
      {"\"weights\":[", "\"weights\":[7,", "weights[0] is not an object"},
      {"\"route\":\"app\"", "\"route\":\"\"", "weights[0].route is empty"},
      {"\"route\"", "\"ttl\":1,\"route\"", "weights[0] has the key \"ttl\""},
      {"\"before\":[", "\"before\":[1,", "weights[0].before[0] is not an object"},
      {"\"weight\":\"90\"", "\"weight\":90", "weights[0].before[0].weight is not a string"},
      {"\"weight\":\"90\"", "\"weight\":\"-90\"", "weight is not a plain decimal number: \"-90\""},
      {"\"weight\":\"90\"", "\"weight\":\"1e2\"", "not a plain decimal"},
      {"\"weight\":\"90\"", "\"share\":\"90\"", "has no key \"weight\""},
      {"\"backend\":\"green\"", "\"backend\":\"blue\"", "is \"blue\" a second time"},
      {"\"50.000001\"}]", "\"50.000001\"}],\"file\":[]", "weights[0].file is stated"},
      {"\"drains\":[{", "\"drains\":{\"a\":{", "not JSON"},
      {"\"before\":true", "\"before\":1", "drains[0].before is neither true nor false"},
      {"\"server\":\"b1\"", "\"server\":\"\"", "drains[0].server is empty"},
  };
  for (const auto& c : cases) {
    const auto contents =
        read_ledger(std::string(kLedgerHeader) + framed(replaced(body, c.from, c.to)));
    ASSERT_FALSE(contents) << c.to;
    EXPECT_EQ(contents.error().offset, kLedgerHeader.size());
    EXPECT_THAT(contents.error().message, HasSubstr(c.says));
  }
}

TEST(Ledger, ChangesMustMakeSense) {
  const RouteSetting none;
  const RouteSetting zero = setting(blue_green("0", "0"));
  const Split split = blue_green("1", "1");
  const RouteSetting some = setting(split);
  RouteSetting wide;
  for (int i = 0; i < 65; ++i) wide.split.push_back(share("x" + std::to_string(i), "1"));
  const struct {
    RevisionKind kind;
    RouteChange change;
    bool right;
  } cases[] = {
      {RevisionKind::shift, {"app", some, some, {}}, true},
      {RevisionKind::shift, {"app", none, some, {}}, false},
      {RevisionKind::shift, {"app", some, none, {}}, false},
      {RevisionKind::shift, {"app", some, zero, {}}, false},
      {RevisionKind::shift, {"app", some, wide, {}}, false},
      {RevisionKind::shift, {"app", some, some, split}, false},
      {RevisionKind::reload, {"app", none, some, split}, true},
      {RevisionKind::reload, {"app", some, none, {}}, true},
      {RevisionKind::reload, {"app", some, some, {}}, false},
      {RevisionKind::reload, {"app", some, none, split}, false},
      {RevisionKind::reload, {"app", none, none, {}}, false},
  };
  for (const auto& c : cases) {
    Revision made = revision(1, 0);
    made.kind = c.kind;
    made.routes = {c.change};
    const auto contents = read_ledger(file_of(encode({made})));
    EXPECT_EQ(contents.has_value(), c.right) << (contents ? "" : contents.error().message);
  }
}

TEST(Ledger, WhatIsNotUtf8IsReplacedAndReadable) {
  Revision made = revision(1, 0);
  made.origin.reason = "bad \xff\xfe end";
  const auto contents = read_ledger(file_of(encode({made})));
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->revisions[0].origin.reason, "bad \xef\xbf\xbd\xef\xbf\xbd end");
}

TEST(Ledger, ARecordTooLongIsRefusedNotWritten) {
  Revision made = revision(1, 0);
  made.origin.reason.assign(kLedgerRecordBytesMax, 'x');
  const auto record = encode_record(made, ledger_chain_start());
  ASSERT_FALSE(record);
  EXPECT_THAT(record.error(), HasSubstr("revision 1 would be"));
  made.origin.reason.resize(kLedgerRecordBytesMax - 1000);
  EXPECT_TRUE(read_ledger(file_of(encode({made}))));
}

TEST(Ledger, NestedJsonWithoutEndIsOnlyDamage) {
  for (const char* piece : {"[", "{\"a\":"}) {
    std::string body;
    while (body.size() < 200'000) body += piece;
    EXPECT_FALSE(read_ledger(std::string(kLedgerHeader) + framed(body)));
  }
}

TEST(Ledger, RandomChangesNeverYieldAnAlteredRevision) {
  const std::vector<Revision> revisions = some_revisions();
  const std::string file = file_of(encode(revisions));
  std::mt19937_64 random(9);
  for (int round = 0; round < 3'000; ++round) {
    std::string changed = file;
    for (std::uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % changed.size();
      const std::size_t count = std::min<std::size_t>(1 + random() % 40, changed.size() - at);
      switch (random() % 4) {
        case 0:
          changed[at] = static_cast<char>(random());
          break;
        case 1:
          changed.erase(at, count);
          break;
        case 2:
          changed.insert(at, changed.substr(at, count));
          break;
        default:
          changed.resize(at + 1);
          break;
      }
    }
    const auto contents = read_ledger(changed);
    if (!contents) continue;
    ASSERT_LE(contents->revisions.size(), revisions.size());
    for (std::size_t i = 0; i < contents->revisions.size(); ++i) {
      ASSERT_EQ(contents->revisions[i], revisions[i]) << "round " << round;
    }
  }
}

// State over a restart: what is planned, written, read and folded in is what was live.
TEST(Ledger, RestoresTheStateThatWasLive) {
  conf::Config config = basic_config();
  State live;
  std::string file(kLedgerHeader);
  std::uint32_t chain = ledger_chain_start();
  const auto commit = [&](const Revision& made) {
    const auto record = encode_record(made, chain);
    ASSERT_TRUE(record);
    file += record->text;
    chain = record->chain;
    live.apply(made);
  };
  commit(*live.plan_reload(config, {}).revision);
  commit(*plan_wish(live, put("app", {{"blue", "99.999"}, {"green", "0.001"}}), {}, {}));
  commit(*live.plan_drain(config, {"blue", "b1"}, true, {}, {}));
  config.routes.push_back(route("more", blue_green("1", "2")));
  commit(*live.plan_reload(config, {}).revision);
  commit(*plan_wish(live, switch_to("more", "green"), {}, {}));
  commit(*live.plan_drain(config, {"blue", "b2"}, true, {}, {}));
  commit(*live.plan_drain(config, {"blue", "b2"}, false, {}, {}));

  const auto contents = read_ledger(file);
  ASSERT_TRUE(contents) << contents.error().message;
  State restored;
  for (const Revision& made : contents->revisions) restored.apply(made);
  EXPECT_EQ(restored.revision(), live.revision());
  ASSERT_EQ(restored.routes().size(), live.routes().size());
  for (const auto& [name, expected] : live.routes()) {
    const RouteState* found = restored.route(name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->setting, expected.setting);
    EXPECT_EQ(found->file_split, expected.file_split);
    EXPECT_EQ(found->revision, expected.revision);
  }
  for (const char* server : {"b1", "b2"}) {
    const ServerKey key{"blue", server};
    EXPECT_EQ(restored.is_draining(key), live.is_draining(key));
    EXPECT_EQ(restored.drain_revision(key), live.drain_revision(key));
  }
  EXPECT_FALSE(restored.plan_reload(config, {}).revision);
}

}  // namespace
}  // namespace sluice::routing

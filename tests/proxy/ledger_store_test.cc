#include "proxy/control/ledger_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::proxy {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class LedgerStoreTest : public testing::Test {
 protected:
  LedgerStoreTest() {
    std::string pattern = testing::TempDir() + "ledger_store_test_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~LedgerStoreTest() override { std::filesystem::remove_all(directory_); }

  std::string path(int copy) const { return directory_ + (copy == 0 ? "/ledger" : "/ledger.2"); }
  std::string text(int copy) const {
    std::ifstream file(path(copy), std::ios::binary);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
  }
  void put(int copy, std::string_view bytes) const {
    std::ofstream(path(copy), std::ios::binary | std::ios::trunc) << bytes;
  }
  auto open() const { return LedgerStore::open({directory_, second_}); }

  static routing::Revision revision(routing::RevisionNumber number) {
    routing::Revision revision;
    revision.number = number;
    revision.parent = number - 1;
    revision.kind = number == 1 ? routing::RevisionKind::reload : routing::RevisionKind::shift;
    revision.time = WallTime(std::chrono::seconds(1'700'000'000 + static_cast<long>(number)));
    revision.origin.identity = "uid:0";
    const routing::Split split{{"blue", Decimal{number, 0}}};
    const routing::Split before{{"blue", *Decimal::parse("1")}};
    if (number == 1) {
      revision.routes.push_back({"app", {}, {split, {}}, split});
    } else {
      revision.routes.push_back({"app", {before, {}}, {split, {}}, {}});
    }
    return revision;
  }
  // Both copies of a ledger of `count` revisions.
  void fill(routing::RevisionNumber count) {
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error();
    for (routing::RevisionNumber n = 1; n <= count; ++n) {
      ASSERT_TRUE(opened->store->append(revision(n)));
    }
  }
  // What a start finds, and that the next record goes behind it.
  void expect_good(std::size_t revisions, std::string_view what) {
    auto opened = open();
    ASSERT_TRUE(opened) << what << ": " << opened.error();
    EXPECT_EQ(opened->damage, "") << what;
    ASSERT_EQ(opened->revisions.size(), revisions) << what;
    EXPECT_EQ(opened->store->good_copies(), 2u) << what;
    ASSERT_TRUE(opened->store->append(revision(revisions + 1))) << what;
    EXPECT_EQ(text(0), text(1)) << what;
    EXPECT_EQ(text(0), opened->store->text()) << what;
  }

  std::string directory_;
  std::string second_;
};

TEST_F(LedgerStoreTest, WhatWasAppendedIsThereAfterReopening) {
  fill(3);
  auto opened = open();
  ASSERT_TRUE(opened);
  ASSERT_EQ(opened->revisions.size(), 3u);
  EXPECT_EQ(opened->revisions[2], revision(3));
  EXPECT_THAT(opened->repairs, IsEmpty());
  EXPECT_TRUE(opened->store->append(revision(4)));
  EXPECT_EQ(opened->store->bytes(), text(0).size());
  EXPECT_EQ(text(0), text(1));
}

TEST_F(LedgerStoreTest, TheSecondCopyMayLiveElsewhere) {
  second_ = directory_ + "/elsewhere";
  fill(2);
  EXPECT_TRUE(std::filesystem::exists(second_ + "/ledger.2"));
  EXPECT_FALSE(std::filesystem::exists(path(1)));
  std::filesystem::remove(path(0));
  auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->revisions.size(), 2u);
}

TEST_F(LedgerStoreTest, G4ATornTailIsCutAndTheNextRecordFollowsTheLastWholeOne) {
  fill(2);
  const std::string whole = text(0);
  fill(0);
  {
    auto opened = open();
    ASSERT_TRUE(opened && opened->store->append(revision(3)));
  }
  const std::string longer = text(0);
  for (std::size_t size = whole.size() + 1; size < longer.size(); size += 3) {
    put(0, longer.substr(0, size));
    put(1, whole);
    {
      auto opened = open();
      ASSERT_TRUE(opened) << opened.error();
      EXPECT_EQ(opened->torn_bytes, size - whole.size());
    }
    expect_good(2, "torn in the first copy at " + std::to_string(size));
    put(0, whole);
    put(1, longer.substr(0, size));
    expect_good(2, "torn in the second copy at " + std::to_string(size));
  }
}

TEST_F(LedgerStoreTest, G4ARecordThatOnlyOneCopyHasIsTheOneInFlightAndStays) {
  fill(2);
  const std::string before = text(0);
  fill(0);
  {
    auto opened = open();
    ASSERT_TRUE(opened && opened->store->append(revision(3)));
  }
  for (int copy : {0, 1}) {
    put(1 - copy, before);
    auto opened = open();
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->revisions.size(), 3u);
    ASSERT_EQ(opened->repairs.size(), 1u);
    EXPECT_THAT(opened->repairs[0], HasSubstr("ended at revision 2"));
    EXPECT_EQ(text(0), text(1));
  }
}

TEST_F(LedgerStoreTest, G4AFlippedBitAnywhereIsMadeGoodFromTheOtherCopyAndKeptAside) {
  fill(3);
  const std::string good = text(0);
  for (int copy : {0, 1}) {
    for (std::size_t at = 0; at < good.size(); at += 7) {
      std::string flipped = good;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      put(0, good);
      put(1, good);
      put(copy, flipped);
      auto opened = open();
      ASSERT_TRUE(opened) << opened.error();
      ASSERT_EQ(opened->damage, "") << "bit of byte " << at;
      ASSERT_EQ(opened->revisions.size(), 3u);
      ASSERT_EQ(opened->repairs.size(), 1u);
      EXPECT_THAT(opened->repairs[0], HasSubstr("made anew from the other copy"));
      ASSERT_EQ(text(copy), good);
    }
  }
  bool kept = false;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    kept = kept || entry.path().string().find(".damaged-") != std::string::npos;
  }
  EXPECT_TRUE(kept);
}

TEST_F(LedgerStoreTest, G4WithoutAGoodCopyRecordsAreRefusedAndNothingIsTouched) {
  fill(3);
  std::string first = text(0);
  std::string second = first;
  first[first.size() / 2] ^= 1;
  second[second.size() / 3] ^= 1;
  put(0, first);
  put(1, second);
  auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_THAT(opened->damage, HasSubstr("/ledger: damaged at byte"));
  EXPECT_THAT(opened->damage, HasSubstr("/ledger.2: damaged at byte"));
  EXPECT_EQ(opened->revisions.size(), 1u) << "what can be read before the later damage";
  const auto appended = opened->store->append(revision(9));
  ASSERT_FALSE(appended);
  EXPECT_THAT(appended.error(), HasSubstr("damaged"));
  EXPECT_EQ(opened->store->good_copies(), 0u);
  EXPECT_EQ(text(0), first);
  EXPECT_EQ(text(1), second);
}

TEST_F(LedgerStoreTest, G4AnEmptyOrStaleCopyDoesNotPassForAllThereWas) {
  fill(2);
  const std::string stale = text(0);
  fill(0);
  {
    auto opened = open();
    for (routing::RevisionNumber n = 3; n <= 6; ++n) {
      ASSERT_TRUE(opened->store->append(revision(n)));
    }
  }
  std::string damaged = text(0);
  damaged[damaged.size() / 2] ^= 1;
  for (const std::string& other : {std::string(), stale}) {
    put(0, damaged);
    put(1, other);
    auto opened = open();
    ASSERT_TRUE(opened);
    EXPECT_THAT(opened->damage, HasSubstr("long before the other copy"));
    EXPECT_FALSE(opened->store->append(revision(9)));
    EXPECT_EQ(text(0), damaged);
  }
}

TEST_F(LedgerStoreTest, G4CopiesThatContradictEachOtherAreNotChosenFrom) {
  fill(2);
  const std::string common = text(0);
  fill(0);
  {
    auto opened = open();
    ASSERT_TRUE(opened->store->append(revision(3)));
  }
  const std::string one = text(0);
  put(0, common);
  put(1, common);
  {
    auto opened = open();
    routing::Revision other = revision(3);
    other.origin.reason = "another";
    ASSERT_TRUE(opened->store->append(other));
  }
  put(0, one);
  auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_THAT(opened->damage, HasSubstr("different revisions of the same number"));
  EXPECT_FALSE(opened->store->append(revision(4)));
}

TEST_F(LedgerStoreTest, CompactionKeepsTheStateAndTheLastRevisions) {
  fill(50);
  routing::State before;
  for (routing::RevisionNumber n = 1; n <= 50; ++n) before.apply(revision(n));
  {
    auto opened = open();
    ASSERT_TRUE(opened);
    const std::size_t bytes = text(0).size();
    ASSERT_TRUE(opened->store->compact(10));
    EXPECT_LT(text(0).size(), bytes / 2);
    EXPECT_EQ(text(0), text(1));
    EXPECT_EQ(opened->store->revision_count(), 10u);
    ASSERT_TRUE(opened->store->append(revision(51)));
  }
  before.apply(revision(51));
  auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->base.revision, 40u);
  ASSERT_EQ(opened->revisions.size(), 11u);
  routing::State after(opened->base);
  for (const routing::Revision& made : opened->revisions) after.apply(made);
  EXPECT_EQ(after.image(), before.image());
}

TEST_F(LedgerStoreTest, ACompactionThatWasCutBetweenTheCopiesIsOneLedgerAgain) {
  fill(20);
  const std::string old = text(0);
  {
    auto opened = open();
    ASSERT_TRUE(opened->store->compact(5));
  }
  const std::string compact = text(0);
  put(1, old);
  auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->damage, "");
  EXPECT_EQ(text(0), compact);
  EXPECT_EQ(text(1), compact);
}

TEST_F(LedgerStoreTest, ASecondProcessIsTurnedAway) {
  auto first = open();
  ASSERT_TRUE(first);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr("another process holds it"));
}

TEST_F(LedgerStoreTest, G4AWriteThatFindsNoRoomLeavesNoTraceAndLaterOnesGoOn) {
  fill(1);
  auto opened = open();
  ASSERT_TRUE(opened);
  const std::string before = text(0);
  // A limit on file size is the nearest thing to a full disk that needs no file system of its own.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit tight{before.size() + 10, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto refused = opened->store->append(revision(2));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("cannot write"));
  EXPECT_EQ(text(0), before);
  EXPECT_EQ(text(1), before);
  EXPECT_TRUE(opened->store->append(revision(2)));
  EXPECT_EQ(opened->store->good_copies(), 2u);
}

TEST_F(LedgerStoreTest, ADirectoryThatCannotBeMadeIsASentence) {
  std::ofstream(directory_ + "/file") << "x";
  const auto opened = LedgerStore::open({directory_ + "/file/state", {}});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error(), HasSubstr("cannot be made"));
}

}  // namespace
}  // namespace sluice::proxy

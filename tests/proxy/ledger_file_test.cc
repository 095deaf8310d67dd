#include "proxy/control/ledger_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::proxy {
namespace {

using testing::HasSubstr;

class LedgerFileTest : public testing::Test {
 protected:
  LedgerFileTest() {
    std::string name = testing::TempDir() + "ledger-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~LedgerFileTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/ledger"; }
  std::string text() const {
    std::ifstream file(path(), std::ios::binary);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
  }
  static routing::Revision revision(routing::RevisionNumber number) {
    routing::Revision revision;
    revision.number = number;
    revision.parent = number - 1;
    revision.time = WallTime(std::chrono::seconds(1'700'000'000 + static_cast<long>(number)));
    revision.origin.identity = "uid:0";
    revision.routes.push_back(
        {"app", {{{"blue", *Decimal::parse("1")}}, {}}, {{{"blue", Decimal{number, 0}}}, {}}, {}});
    return revision;
  }
  // A file of `count` revisions.
  void fill(routing::RevisionNumber count) {
    auto opened = LedgerFile::open(directory_);
    ASSERT_TRUE(opened) << opened.error();
    for (routing::RevisionNumber n = 1; n <= count; ++n) {
      ASSERT_TRUE(opened->file->append(revision(n)));
    }
  }

  std::string directory_;
};

TEST_F(LedgerFileTest, WhatWasAppendedIsThereAfterReopening) {
  fill(3);
  auto opened = LedgerFile::open(directory_);
  ASSERT_TRUE(opened);
  ASSERT_EQ(opened->revisions.size(), 3u);
  EXPECT_EQ(opened->revisions[2], revision(3));
  EXPECT_TRUE(opened->file->append(revision(4)));
  EXPECT_EQ(opened->file->bytes(), text().size());
}

TEST_F(LedgerFileTest, G4ATornTailIsCutAndTheNextRecordFollowsTheLastWholeOne) {
  fill(2);
  const std::string whole = text();
  {
    auto opened = LedgerFile::open(directory_);
    ASSERT_TRUE(opened && opened->file->append(revision(3)));
  }
  const std::string longer = text();
  for (std::size_t size = whole.size(); size < longer.size(); ++size) {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << longer.substr(0, size);
    auto opened = LedgerFile::open(directory_);
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_EQ(opened->damage, "");
    ASSERT_EQ(opened->torn_bytes, size - whole.size());
    ASSERT_EQ(opened->revisions.size(), 2u);
    ASSERT_TRUE(opened->file->append(revision(3)));
    ASSERT_EQ(text(), longer);
  }
}

TEST_F(LedgerFileTest, G4DamageRefusesRecordsAndLeavesTheFileAlone) {
  fill(3);
  std::string damaged = text();
  damaged[damaged.size() / 2] ^= 1;
  std::ofstream(path(), std::ios::binary | std::ios::trunc) << damaged;
  auto opened = LedgerFile::open(directory_);
  ASSERT_TRUE(opened);
  EXPECT_THAT(opened->damage, HasSubstr("damaged at byte"));
  EXPECT_LT(opened->revisions.size(), 3u);
  const auto appended = opened->file->append(revision(9));
  ASSERT_FALSE(appended);
  EXPECT_THAT(appended.error(), HasSubstr("damaged"));
  EXPECT_EQ(text(), damaged);
}

TEST_F(LedgerFileTest, ASecondProcessIsTurnedAway) {
  auto first = LedgerFile::open(directory_);
  ASSERT_TRUE(first);
  const auto second = LedgerFile::open(directory_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr("another process holds it"));
}

TEST_F(LedgerFileTest, G4AWriteThatFindsNoRoomLeavesNoTraceAndLaterOnesGoOn) {
  fill(1);
  auto opened = LedgerFile::open(directory_);
  ASSERT_TRUE(opened);
  const std::string before = text();
  // A limit on file size is the nearest thing to a full disk that needs no file system of its own.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit tight{before.size() + 10, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto refused = opened->file->append(revision(2));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("cannot write"));
  EXPECT_EQ(text(), before);
  EXPECT_TRUE(opened->file->append(revision(2)));
}

TEST_F(LedgerFileTest, ADirectoryThatCannotBeMadeIsASentence) {
  std::ofstream(directory_ + "/file") << "x";
  const auto opened = LedgerFile::open(directory_ + "/file/state");
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error(), HasSubstr("cannot be made"));
}

}  // namespace
}  // namespace sluice::proxy

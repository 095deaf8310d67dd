#include "proxy/control/ledger_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::proxy {
namespace {

using testing::HasSubstr;

class LedgerToolsTest : public testing::Test {
 protected:
  LedgerToolsTest() {
    std::string pattern = testing::TempDir() + "ledger_tools_test_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~LedgerToolsTest() override { std::filesystem::remove_all(directory_); }

  LedgerStore::Places places(const std::string& name) const {
    return {directory_ + "/" + name, {}};
  }
  // A ledger of so many drains at that place.
  void fill(const std::string& name, routing::RevisionNumber count) const {
    auto opened = LedgerStore::open(places(name));
    ASSERT_TRUE(opened) << opened.error();
    for (routing::RevisionNumber n = 1; n <= count; ++n) {
      routing::Revision revision;
      revision.number = n;
      revision.parent = n - 1;
      revision.kind = routing::RevisionKind::drain;
      revision.drains = {{{"blue", "one"}, n % 2 == 0, n % 2 == 1}};
      ASSERT_TRUE(opened->store->append(revision));
    }
  }
  std::string directory_;
};

TEST_F(LedgerToolsTest, VerifyTellsGoodTornAndDamagedApartAndTouchesNothing) {
  fill("a", 4);
  const std::string path = ledger_paths(places("a"))[0];
  const auto good = verify_ledger(path);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->damage, "");
  EXPECT_EQ(good->first, 1u);
  EXPECT_EQ(good->last, 4u);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 9);
  EXPECT_GT(verify_ledger(path)->torn_bytes, 0u);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);
    file.put('~');
  }
  const auto before = std::filesystem::file_size(path);
  EXPECT_THAT(verify_ledger(path)->damage, HasSubstr("damaged at byte 16"));
  EXPECT_EQ(std::filesystem::file_size(path), before);
  EXPECT_FALSE(verify_ledger(directory_ + "/nothing"));
}

TEST_F(LedgerToolsTest, ImportMakesBothCopiesAndSparesWhatWasThere) {
  fill("from", 6);
  fill("to", 2);
  const std::string file = ledger_paths(places("from"))[0];
  ASSERT_TRUE(import_ledger(places("new"), file, false));
  auto opened = LedgerStore::open(places("new"));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->revisions.size(), 6u);
  opened->store.reset();
  const auto refused = import_ledger(places("to"), file, false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("ends at revision 2: say --force"));
  const auto imported = import_ledger(places("to"), file, true);
  ASSERT_TRUE(imported) << imported.error();
  EXPECT_EQ(LedgerStore::open(places("to"))->revisions.size(), 6u);
  int kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/to")) {
    kept += entry.path().string().find(".before-import-") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(kept, 2);
}

TEST_F(LedgerToolsTest, ImportRefusesARunningSluicesPlaceAndWhatIsNotWhole) {
  fill("from", 3);
  const std::string file = ledger_paths(places("from"))[0];
  fill("busy", 1);
  const auto running = LedgerStore::open(places("busy"));
  ASSERT_TRUE(running);
  EXPECT_THAT(import_ledger(places("busy"), file, true).error(),
              HasSubstr("another process holds it"));
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 3);
  EXPECT_THAT(import_ledger(places("new"), file, false).error(), HasSubstr("not whole"));
  std::ofstream(file, std::ios::trunc) << "nonsense\n";
  EXPECT_THAT(import_ledger(places("new"), file, false).error(), HasSubstr("no ledger"));
}

}  // namespace
}  // namespace sluice::proxy

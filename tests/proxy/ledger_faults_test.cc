// Guarantee G4 against every instant at which a machine can stop, and every call that can fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "proxy/control/ledger_store.h"
#include "tests/proxy/disk_model.h"

namespace sluice::proxy {
namespace {

using testing_disk::Call;
using testing_disk::Image;

routing::Revision revision(routing::RevisionNumber number, const std::string& reason = {}) {
  routing::Revision revision;
  revision.number = number;
  revision.parent = number - 1;
  revision.kind = number == 1 ? routing::RevisionKind::reload : routing::RevisionKind::shift;
  revision.time = WallTime(std::chrono::seconds(1'700'000'000 + static_cast<long>(number)));
  revision.origin = {"uid:0", "", reason};
  const routing::Split split{{"blue", Decimal{number, 0}}};
  revision.routes.push_back({"app", {number == 1 ? routing::Split{} : split, {}}, {split, {}}, {}});
  if (number == 1) revision.routes[0].file = split;
  return revision;
}

routing::StateImage image_at(routing::RevisionNumber last) {
  routing::State state;
  for (routing::RevisionNumber n = 1; n <= last; ++n) state.apply(revision(n));
  return state.image();
}

class LedgerFaultsTest : public testing::Test {
 protected:
  LedgerFaultsTest() {
    // In memory: what is put there is the model, and syncing a real disk would only cost time.
    std::string pattern = "/dev/shm/ledger_faults_test_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    directory_ = root_ + "/state";
    std::filesystem::create_directories(directory_);
  }
  ~LedgerFaultsTest() override {
    testing_disk::end_recording();
    std::filesystem::remove_all(root_);
  }

  // A start, forty revisions with a compaction in between, a start, more revisions; the calls are
  // marked with the number that was acknowledged last.
  std::vector<Call> a_busy_life() {
    testing_disk::begin_recording(directory_);
    routing::RevisionNumber number = 0;
    for (int life = 0; life < 2; ++life) {
      auto opened = LedgerStore::open({directory_, {}});
      EXPECT_TRUE(opened) << opened.error();
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(opened->store->append(revision(number + 1)));
        testing_disk::mark(static_cast<int>(++number));
        if (i == 11) {
          EXPECT_TRUE(opened->store->compact(4));
        }
      }
    }
    return testing_disk::end_recording();
  }
  // A start on that disk knows the last acknowledged revision, or the one that was in flight, whole
  // and with nothing made up; and the next start knows the same.
  void expect_good(const Image& disk, int acknowledged, const std::string& what) {
    const std::string directory = root_ + "/after";
    testing_disk::put_on_disk(disk, directory);
    for (int start = 0; start < 2; ++start) {
      auto opened = LedgerStore::open({directory, {}});
      ASSERT_TRUE(opened) << what << ": " << opened.error();
      ASSERT_EQ(opened->damage, "") << what;
      const auto last =
          opened->revisions.empty() ? opened->base.revision : opened->revisions.back().number;
      ASSERT_GE(last, static_cast<unsigned>(acknowledged)) << what;
      ASSERT_LE(last, static_cast<unsigned>(acknowledged) + 1) << what;
      routing::State state(opened->base);
      for (const routing::Revision& made : opened->revisions) state.apply(made);
      ASSERT_EQ(state.image(), image_at(last)) << what;
      ASSERT_EQ(opened->store->good_copies(), 2u) << what;
      if (start == 1) {
        ASSERT_TRUE(opened->store->append(revision(last + 1))) << what;
      }
    }
  }

  std::string root_;
  std::string directory_;
};

int mark_before(const std::vector<Call>& calls, std::size_t count) {
  return count == 0 ? 0 : calls[count - 1].mark;
}

TEST_F(LedgerFaultsTest, G4AKillAtAnyCallLeavesTheLastAcknowledgedOrTheOneInFlight) {
  const std::vector<Call> calls = a_busy_life();
  ASSERT_GT(calls.size(), 160u);
  for (std::size_t count = 0; count <= calls.size(); ++count) {
    expect_good(testing_disk::after_kill(calls, count), mark_before(calls, count),
                "killed after call " + std::to_string(count));
    if (HasFatalFailure()) return;
  }
}

// Writes go to the disk as they like until they are synced: half of them, none, as zeros.
TEST_F(LedgerFaultsTest, G4APowerFailureAtAnyCallLeavesTheLastAcknowledgedOrTheOneInFlight) {
  const std::vector<Call> calls = a_busy_life();
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    std::mt19937 random(seed);
    for (std::size_t count = 0; count <= calls.size(); ++count) {
      expect_good(
          testing_disk::after_power_loss(calls, count, random), mark_before(calls, count),
          "power lost after call " + std::to_string(count) + ", seed " + std::to_string(seed));
      if (HasFatalFailure()) return;
    }
  }
}

// Each call that a change makes fails once, or for good: the change is refused and nothing of it
// is left, or it is made; what was acknowledged stays, and changes are possible again as soon as
// the disk lets them.
TEST_F(LedgerFaultsTest, G4ACallThatFailsRefusesTheChangeAndLosesNothing) {
  const struct {
    Call::Kind kind;
    int error;
  } faults[] = {{Call::Kind::write, ENOSPC},
                {Call::Kind::sync, EIO},
                {Call::Kind::truncate, EIO},
                {Call::Kind::rename, EIO},
                {Call::Kind::sync_directory, EIO}};
  for (const auto& fault : faults) {
    for (int nth = 1; nth <= 4; ++nth) {
      for (const int times : {1, 2, 1000}) {
        const std::string what = "kind " + std::to_string(static_cast<int>(fault.kind)) +
                                 ", call " + std::to_string(nth) + ", " + std::to_string(times) +
                                 " times";
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directories(directory_);
        testing_disk::begin_recording(directory_);
        auto opened = LedgerStore::open({directory_, {}});
        ASSERT_TRUE(opened);
        LedgerStore& store = *opened->store;
        ASSERT_TRUE(store.append(revision(1)));
        testing_disk::fail(fault.kind, nth, fault.error, times);
        routing::RevisionNumber acknowledged = 1;
        for (int i = 0; i < 4; ++i) {
          const auto done = store.append(revision(acknowledged + 1));
          acknowledged += done ? 1 : 0;
        }
        testing_disk::fail(fault.kind, 0, 0, 0);
        ASSERT_TRUE(store.append(revision(acknowledged + 1))) << what << ": " << store.alarm();
        ++acknowledged;
        ASSERT_EQ(store.good_copies(), 2u) << what << ": " << store.alarm();
        const std::vector<Call> calls = testing_disk::end_recording();
        opened->store.reset();
        expect_good(testing_disk::after_kill(calls, calls.size()), static_cast<int>(acknowledged),
                    what);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::proxy

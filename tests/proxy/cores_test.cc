#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "proxy/control/worker_threads.h"

namespace sluice::proxy {
namespace {

class CoresTest : public testing::Test {
 protected:
  CoresTest() {
    std::string name = testing::TempDir() + "cores-XXXXXX";
    root_ = ::mkdtemp(name.data());
    affinity_ = available_cores(root_);
  }
  ~CoresTest() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
  std::size_t affinity_ = 0;  // without any quota
};

TEST_F(CoresTest, WithoutAQuotaAffinityDecides) {
  EXPECT_GE(affinity_, 1u);
  write("/proc/self/cgroup", "0::/app\n");
  write("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
  EXPECT_EQ(available_cores(root_), affinity_);
}

TEST_F(CoresTest, AQuotaOfOneCoreIsOneWorker) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
  EXPECT_EQ(available_cores(root_), 1u);
}

TEST_F(CoresTest, TheTightestQuotaOfAllGroupsAboveCounts) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n");
  write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(available_cores(root_), 1u);
}

TEST_F(CoresTest, VersionOneQuotasCountToo) {
  write("/proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/docker/1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "20000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(available_cores(root_), 1u);
  write("/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(available_cores(root_), affinity_);
}

TEST_F(CoresTest, ALargeQuotaNeverAddsCores) {
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/cpu.max", "99999900000 100000\n");
  EXPECT_EQ(available_cores(root_), affinity_);
}

}  // namespace
}  // namespace sluice::proxy

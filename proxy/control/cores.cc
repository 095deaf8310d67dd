#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "proxy/control/worker_threads.h"

namespace sluice::proxy {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Cores' worth of CPU time, nullopt for no quota.
std::optional<double> quota_from(double quota, double period) {
  if (quota <= 0 || period <= 0) return {};
  return quota / period;
}

// cpu.max is "max 100000" or "150000 100000".
std::optional<double> read_v2(const std::string& root, const std::string& group) {
  std::istringstream line(first_line(root + "/sys/fs/cgroup" + group + "/cpu.max"));
  double quota = 0;
  double period = 0;
  if (!(line >> quota >> period)) return {};
  return quota_from(quota, period);
}

std::optional<double> read_v1(const std::string& root, const std::string& mount,
                              const std::string& group) {
  const std::string base = root + "/sys/fs/cgroup/" + mount + group + "/cpu.cfs_";
  const std::string quota = first_line(base + "quota_us");
  const std::string period = first_line(base + "period_us");
  if (quota.empty() || period.empty()) return {};
  return quota_from(std::strtod(quota.c_str(), nullptr), std::strtod(period.c_str(), nullptr));
}

// The tightest quota of this process's group and all groups above it.
std::optional<double> cgroup_quota(const std::string& root) {
  std::optional<double> tightest;
  const auto take = [&tightest](std::optional<double> quota) {
    if (quota && (!tightest || *quota < *tightest)) tightest = quota;
  };
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    for (;;) {
      if (group == "/") group.clear();
      if (controllers.empty()) {
        take(read_v2(root, group));
      } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
        take(read_v1(root, controllers, group));
        take(read_v1(root, "cpu", group));
      }
      if (group.empty()) break;
      group.resize(group.rfind('/'));
    }
  }
  return tightest;
}

}  // namespace

std::size_t available_cores(const std::string& root) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::size_t cores = 1;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    cores = static_cast<std::size_t>(std::max(1, CPU_COUNT(&mask)));
  } else {
    cores = std::max(1U, std::thread::hardware_concurrency());  // more than the mask has bits for
  }
  // Half a core more than a whole number is worth another worker; less would throttle all of them.
  if (const auto quota = cgroup_quota(root)) {
    const auto whole = static_cast<std::size_t>(std::max(1.0, std::floor(*quota + 0.5)));
    cores = std::min(cores, whole);
  }
  return cores;
}

}  // namespace sluice::proxy

#include "proxy/control/container.h"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace sluice::proxy {
namespace {

// The cgroup namespace that a machine starts with has this number (PROC_CGROUP_INIT_INO); container
// runtimes give each container one of its own.
constexpr std::string_view kInitialCgroupNamespace = "cgroup:[4026531835]";

std::string cgroup_namespace() {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink("/proc/self/ns/cgroup", target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

std::string find_container() {
  for (const char* file : {"/.dockerenv", "/run/.containerenv", "/run/systemd/container"}) {
    if (::access(file, F_OK) == 0) return std::string(file) + " exists";
  }
  for (const char* name : {"KUBERNETES_SERVICE_HOST", "container"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') {
      return std::string("the environment has ") + name;
    }
  }
  const std::string space = cgroup_namespace();
  if (!space.empty() && space != kInitialCgroupNamespace) return "a cgroup namespace of its own";
  return {};
}

}  // namespace sluice::proxy

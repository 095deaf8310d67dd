// Configuration texts that the tests of this room share.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice::conf {

// A sound configuration with no listening port of its own; put something before it to test that.
inline constexpr std::string_view kSound = R"([listeners.http]
address = "127.0.0.1:0"
[backends.blue]
servers = ["127.0.0.1:9001"]
[backends.green]
servers = ["127.0.0.1:9002"]
[routes.app]
split = { blue = 90, green = 10 }
)";

// The same without the route.
inline constexpr std::string_view kWithoutRoutes = kSound.substr(0, kSound.find("[routes.app]"));

inline std::string before_sound(std::string_view text) {
  return std::string(text) + std::string(kSound);
}

// `name` from the root of the repository.
inline std::string read_source(const std::string& name) {
  std::ifstream stream(SLUICE_SOURCE_DIR "/" + name, std::ios::binary);
  if (!stream) throw std::runtime_error("can't open " + name);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace sluice::conf

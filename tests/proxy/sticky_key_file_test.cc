#include "proxy/control/sticky_key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace sluice::proxy {
namespace {

class StickyKeyFileTest : public testing::Test {
 protected:
  StickyKeyFileTest() {
    config.file = "f";
    config.runtime.state_directory = folder;
    conf::Route route;
    route.name = "app";
    route.sticky.emplace().line = 7;
    config.routes.push_back(route);
    std::filesystem::create_directories(folder);
  }
  ~StickyKeyFileTest() override { std::filesystem::remove_all(folder); }
  void write(const std::string& path, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path) << text;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  const std::string folder = testing::TempDir() + "sticky_key_file_" + std::to_string(::getpid());
  const std::string made = folder + "/sticky.key";
  conf::Config config;
};

TEST_F(StickyKeyFileTest, IsMadeOnceForItsOwnerAlone) {
  const auto first = load_sticky_keys(config, true);
  ASSERT_TRUE(first.has_value()) << first.error()[0];
  struct stat about {};
  ASSERT_EQ(::stat(made.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_TRUE(first->warnings.empty());
  const std::string cookie = first->ring.at("")->seal("app", 5, WallTime());
  const auto second = load_sticky_keys(config, true);
  EXPECT_TRUE(second->ring.at("")->open("app", cookie));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1u) << "something unfinished was left";
}

TEST_F(StickyKeyFileTest, ACheckMakesNothing) {
  EXPECT_TRUE(load_sticky_keys(config, false)->ring.empty());
  EXPECT_FALSE(std::filesystem::exists(made));
}

TEST_F(StickyKeyFileTest, IsNotMadeForKeysWithoutCookies) {
  config.routes[0].sticky->by = {{{conf::StickyPart::Kind::client, {}}}};
  EXPECT_TRUE(load_sticky_keys(config, true)->ring.empty());
  EXPECT_FALSE(std::filesystem::exists(made));
}

TEST_F(StickyKeyFileTest, ANamedFileMustBeThereAndBeRight) {
  const std::string path = folder + "/mine";
  config.routes[0].sticky->key_file = path;
  EXPECT_EQ(load_sticky_keys(config, true).error()[0],
            "f:7: route app: key_file " + path +
                ": it does not exist; make it with `openssl rand -hex 32`, for its owner alone");
  write(path, "x");
  EXPECT_TRUE(load_sticky_keys(config, true)
                  .error()[0]
                  .ends_with(": line 1 is not a key of 64 hexadecimal digits"));
  write(path, std::string(64, '0') + "\n", 0644);
  const auto loaded = load_sticky_keys(config, true);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->warnings.size(), 1u);
  EXPECT_TRUE(loaded->ring.contains(path));
  config.routes[0].sticky->key_file = folder;
  EXPECT_TRUE(load_sticky_keys(config, true).error()[0].ends_with("it is not a regular file"));
}

}  // namespace
}  // namespace sluice::proxy

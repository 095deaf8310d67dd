#include "proxy/control/server_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::proxy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class ServerSettingsTest : public testing::Test {
 protected:
  ServerSettingsTest() {
    config_.file = "sluice.toml";
    std::filesystem::create_directories(directory_);
  }
  ~ServerSettingsTest() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name, const std::string& text) const {
    const std::string path = directory_ / name;
    std::ofstream(path) << text;
    return path;
  }
  conf::Backend& backend(const std::string& name, const std::string& ca_file, int line) {
    conf::Backend& made = config_.backends.emplace_back();
    made.name = name;
    made.tls = conf::BackendTls{.ca_file = ca_file, .server_name = "app.test", .line = line};
    return made;
  }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("sluice-settings-" + std::to_string(::getpid()));
  const tls::SelfSigned certificate_ = tls::make_self_signed({"app.test"}, 1);
  conf::Config config_;
};

TEST_F(ServerSettingsTest, EachBackendHasItsOwnInTheirOrder) {
  config_.backends.emplace_back().name = "plain";
  backend("tls", file("ca.pem", certificate_.certificate_pem), 7).protocol =
      conf::HttpVersion::http2;
  config_.backends.emplace_back().send_proxy_protocol = conf::ProxyProtocol::v2;
  const auto table = load_server_settings(config_);
  ASSERT_TRUE(table);
  ASSERT_EQ(table->size(), 3u);
  EXPECT_EQ((*table)[0]->tls, nullptr);
  EXPECT_EQ((*table)[0]->protocol, conf::HttpVersion::http1);
  ASSERT_NE((*table)[1]->tls, nullptr);
  EXPECT_FALSE((*table)[1]->tls->insecure());
  EXPECT_EQ((*table)[1]->protocol, conf::HttpVersion::http2);
  EXPECT_EQ((*table)[1]->server_name, "app.test");
  EXPECT_EQ((*table)[2]->send_proxy_protocol, conf::ProxyProtocol::v2);
}

TEST_F(ServerSettingsTest, WithoutVerificationNoFileIsRead) {
  backend("lab", "", 3).tls->verify = false;
  const auto table = load_server_settings(config_);
  ASSERT_TRUE(table);
  EXPECT_TRUE((*table)[0]->tls->insecure());
}

TEST_F(ServerSettingsTest, EveryErrorSaysWhereAndWhat) {
  backend("missing", directory_ / "none.pem", 3);
  backend("good", file("ca.pem", certificate_.certificate_pem), 9);
  backend("key", file("key.pem", certificate_.key_pem), 12);
  backend("directory", directory_, 15);
  const auto table = load_server_settings(config_);
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error(),
              ElementsAre(AllOf(StartsWith("sluice.toml:3: backend missing: ca_file "),
                                HasSubstr("none.pem: No such file or directory")),
                          AllOf(StartsWith("sluice.toml:12: backend key: ca_file "),
                                HasSubstr("key.pem: trust anchors")),
                          StartsWith("sluice.toml:15: backend directory: ca_file ")));
}

}  // namespace
}  // namespace sluice::proxy

// The prober against servers on the fake network.
#include "proxy/control/health_monitor.h"

#include <gtest/gtest.h>

#include "routing/state.h"
#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {
namespace {

class HealthMonitorTest : public BackendTest {
 protected:
  HealthMonitorTest() {
    network_.listen_scripted(address_);
    auto config = std::make_shared<conf::Config>();
    conf::Backend backend{.name = "blue", .servers = {}, .health = conf::HealthCheck{}};
    backend.health->rise = backend.health->fall = 1;
    backend.servers.push_back({"one", address_});
    config->backends.push_back(backend);
    conf::Route route;
    route.name = "app";
    route.hosts = {"app"};
    route.split.push_back({"blue", *Decimal::parse("1")});
    config->routes.push_back(route);
    state_.apply(*state_.plan_reload(*config, WallTime{}).revision);
    snapshot_ = registry_.build(config, state_, 1, /*assume_up=*/false);
  }
  void watch() {
    monitor_.watch(*snapshot_, {std::make_shared<const ServerSettings>()});
    turn();
  }
  HealthMonitor::Known known() const {
    return *monitor_.known(snapshot_->backends[0].servers[0].key);
  }
  // To the next probe.
  void wait() {
    pass(std::chrono::seconds(40));
    turn();
  }
  // The server's answer to the probe that is there.
  void answer() {
    auto peer = network_.accept(address_);
    ASSERT_TRUE(peer);
    EXPECT_NE(peer->take().find("GET /health HTTP/1.1\r\n"), std::string::npos);
    peer->write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    turn();
  }

  routing::State state_;
  routing::Registry registry_{1};
  std::shared_ptr<const routing::Snapshot> snapshot_;
  HealthMonitor monitor_{host_};
};

TEST_F(HealthMonitorTest, AnAnswerPassesAndARefusalFails) {
  watch();
  answer();
  EXPECT_EQ(known().status, health::Status::up);
  EXPECT_EQ(known().probes_passed, 1u);
  network_.fail_connects(address_, ECONNREFUSED);
  wait();
  EXPECT_EQ(known().status, health::Status::down);
  EXPECT_EQ(known().last_error, "connection refused");
}

TEST_F(HealthMonitorTest, AShortageOfSocketsSaysNothingOfTheServer) {
  watch();
  answer();
  network_.fail_connects(address_, EADDRNOTAVAIL);
  for (int i = 0; i < 3; ++i) {
    wait();
    EXPECT_EQ(known().status, health::Status::up);
    EXPECT_EQ(known().probes_failed, 0u);
    EXPECT_EQ(known().last_error, "");
  }
  EXPECT_GT(counted(admin::Count::backend_connects_failed), 0u) << "probes did meet it";
  network_.fail_connects(address_, 0);
  wait();
  answer();
  EXPECT_EQ(known().probes_passed, 2u) << "probing goes on";
}

TEST_F(HealthMonitorTest, AConnectThatThisMachineForbidsFails) {
  watch();
  answer();
  network_.fail_connects(address_, EPERM);
  wait();
  EXPECT_EQ(known().status, health::Status::down);
  EXPECT_EQ(known().last_error, "connect failed");
}

}  // namespace
}  // namespace sluice::proxy

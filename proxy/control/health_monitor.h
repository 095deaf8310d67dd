// HealthMonitor: the prober of this process: sends `GET /health` to every server that has a check,
// keeps what is known of each (health/tracker.h), and tells the workers through ServerRuntime::up.
// Control's thread only. What is known of a server survives reloads (guarantee G8).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "admin/event.h"
#include "health/probe.h"
#include "health/tracker.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/own_request.h"
#include "routing/snapshot.h"

namespace sluice::proxy {

class HealthMonitor {
 public:
  explicit HealthMonitor(ConnectionHost& host);
  ~HealthMonitor();

  // The servers are those of this snapshot from now on, reached as `servers` says by backend.
  void watch(const routing::Snapshot& snapshot, const ServerSettingsTable& servers);
  // A worker's connect failed, and it has taken the server out. `runtime` tells whether it is the
  // server that has this name now.
  void on_connect_failed(const routing::ServerKey& server,
                         const std::shared_ptr<routing::ServerRuntime>& runtime);
  // The server is out until a probe that begins from now on has passed (a server that resumes).
  void await_pass(const routing::ServerKey& server);
  // Somebody waits for the server's next verdict: its next probe comes as soon as it may.
  void hurry(const routing::ServerKey& server);
  // Called, never from inside watch(), once every server has its first verdict, and then never
  // again.
  void when_first_round_done(std::function<void()> then);
  bool first_round_done() const;
  // Called when a server's status has become another, or a server that was down is gone.
  void when_status_changes(std::function<void(const admin::HealthChange&)> then);
  // Gives up the probes that are on their way; none is sent any more.
  void stop();

  struct Known {
    health::Status status = health::Status::unknown;
    WallTime since;
    std::string last_error;
    std::optional<WallTime> last_error_at;
    std::uint64_t probes_passed = 0;
    std::uint64_t probes_failed = 0;
  };
  // nullopt: not probed.
  std::optional<Known> known(const routing::ServerKey& server) const;

 private:
  class Watched;

  void on_verdict();
  void tell(const admin::HealthChange& change);

  ConnectionHost& host_;
  std::map<routing::ServerKey, std::unique_ptr<Watched>> watched_;
  std::function<void()> first_round_done_;
  std::function<void(const admin::HealthChange&)> status_changed_;
  bool stopped_ = false;
};

}  // namespace sluice::proxy

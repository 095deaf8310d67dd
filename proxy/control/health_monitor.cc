#include "proxy/control/health_monitor.h"

#include <algorithm>

#include "proxy/control/event_log.h"

namespace sluice::proxy {

// One server with a check: its tracker, its schedule, and the probe that is on its way.
class HealthMonitor::Watched final {
 public:
  Watched(HealthMonitor& monitor, const routing::SnapshotServer& server,
          const conf::HealthCheck& check, std::shared_ptr<const ServerSettings> settings)
      : monitor_(monitor),
        key_(server.key),
        address_(server.address),
        runtime_(server.runtime),
        settings_(std::move(settings)),
        draining_(server.draining),
        pool_(make_pool(monitor.host_, server.address, settings_)),
        since_(monitor.host_.loop().wall_now()),
        tracker_(check, monitor.host_.loop().now(),
                 std::hash<std::string>{}(server.key.to_string())),
        schedule_(io::Timer::calling<&Watched::start_probe>(this)),
        request_(monitor.host_) {
    pool_->keep_idle(false);
    reschedule();
  }

  bool is(const routing::SnapshotServer& server) const {
    return address_ == server.address && runtime_ == server.runtime;
  }
  void configure(const conf::HealthCheck& check, std::shared_ptr<const ServerSettings> settings,
                 bool draining) {
    draining_ = draining;
    if (settings != settings_) use(std::move(settings));
    tracker_.on_config(check, now());
    publish();
  }
  const std::shared_ptr<routing::ServerRuntime>& runtime() const { return runtime_; }
  void hurry() {
    tracker_.on_awaited(now());
    reschedule();
  }
  void take_out(std::string_view why) {
    tracker_.on_connect_failed(why, now());
    publish();
  }

  void forget() {
    tracker_.on_forgotten(now());
    publish();
  }

  Known known() const {
    Known known;
    known.status = tracker_.status();
    known.since = since_;
    known.last_error = tracker_.last_error();
    known.last_error_at = last_error_at_;
    known.probes_passed = passed_;
    known.probes_failed = failed_;
    return known;
  }
  health::Status status() const { return tracker_.status(); }
  admin::HealthChange gone() const {
    return {.server = key_,
            .address = address_,
            .before = tracker_.status(),
            .after = tracker_.status(),
            .gone = true};
  }

 private:
  TimePoint now() const { return monitor_.host_.loop().now(); }

  void use(std::shared_ptr<const ServerSettings> settings) {
    if (settings->protocol == settings_->protocol) {
      pool_->use_settings(settings);
    } else {
      pool_ = make_pool(monitor_.host_, address_, settings);
      pool_->keep_idle(false);
    }
    settings_ = std::move(settings);
  }

  void reschedule() { monitor_.host_.loop().timers().arm(schedule_, tracker_.next_probe_at()); }

  void start_probe() {
    tracker_.on_probe_started(now());
    schedule_.cancel();
    const health::ProbeRequest probe = health::make_probe_request(tracker_.check(), address_);
    OwnRequest::Call call{.timeout = tracker_.check().timeout};
    call.head.method = http::Method::get;
    call.head.method_text = "GET";
    call.head.authority = probe.host;
    call.head.target = probe.path;
    call.head.keep_alive = false;
    call.head.fields.append("User-Agent", "sluice-health");
    request_.start(*pool_, std::move(call),
                   [this](const OwnRequest::Result& result) { on_answer(result); });
  }

  void on_answer(const OwnRequest::Result& result) {
    if (result) {
      finish_probe(health::verdict(tracker_.check(), result->status));
    } else if (result.error().ours) {
      abandon_probe();
    } else {
      finish_probe(std::unexpected(result.error().reason));
    }
  }

  // Our own shortage says nothing about the server.
  void abandon_probe() {
    tracker_.on_probe_abandoned(now());
    reschedule();
  }

  void finish_probe(const std::expected<void, std::string>& verdict) {
    ++(verdict ? passed_ : failed_);
    tracker_.on_probe(verdict, now());
    publish();
  }

  // Tells the workers, and the operator if the status is new.
  void publish() {
    if (tracker_.takes_new_work()) {
      runtime_->bring_up(now());
    } else {
      runtime_->up.store(false, std::memory_order_relaxed);
    }
    reschedule();
    if (tracker_.last_error_at() == now()) last_error_at_ = monitor_.host_.loop().wall_now();
    if (tracker_.status() == logged_) return;
    since_ = monitor_.host_.loop().wall_now();
    const health::Status before = std::exchange(logged_, tracker_.status());
    const std::string why = logged_ == health::Status::down ? tracker_.last_error() : "";
    log_event(logged_ == health::Status::down ? Level::warning : Level::info, "health",
              {{"server", key_.to_string()},
               {"address", address_.to_string()},
               {"status", std::string(health::to_string(logged_))},
               {"reason", why}});
    monitor_.tell({.server = key_,
                   .address = address_,
                   .before = before,
                   .after = logged_,
                   .drained = draining_,
                   .reason = why});
    monitor_.on_verdict();
  }

  HealthMonitor& monitor_;
  const routing::ServerKey key_;
  const Address address_;
  const std::shared_ptr<routing::ServerRuntime> runtime_;
  std::shared_ptr<const ServerSettings> settings_;
  bool draining_;
  std::shared_ptr<BackendPool> pool_;
  WallTime since_;  // when the status became what it is
  std::optional<WallTime> last_error_at_;
  health::Tracker tracker_;
  io::Timer schedule_;
  OwnRequest request_;
  health::Status logged_ = health::Status::unknown;
  std::uint64_t passed_ = 0;
  std::uint64_t failed_ = 0;
};

HealthMonitor::HealthMonitor(ConnectionHost& host) : host_(host) {
}

HealthMonitor::~HealthMonitor() = default;

void HealthMonitor::watch(const routing::Snapshot& snapshot, const ServerSettingsTable& servers) {
  if (stopped_) return;
  std::map<routing::ServerKey, std::unique_ptr<Watched>> before = std::move(watched_);
  watched_.clear();
  for (std::size_t i = 0; i < snapshot.backends.size(); ++i) {
    const auto& check = snapshot.config->backends[i].health;
    for (const routing::SnapshotServer& server : snapshot.backends[i].servers) {
      const auto found = before.find(server.key);
      if (!check) {
        server.runtime->up.store(true, std::memory_order_relaxed);
      } else if (found != before.end() && found->second->is(server)) {
        found->second->configure(*check, servers[i], server.draining);
        watched_.emplace(server.key, std::move(found->second));
      } else {
        watched_.emplace(server.key, std::make_unique<Watched>(*this, server, *check, servers[i]));
      }
    }
  }
  for (const auto& [key, left] : before) {
    if (left && left->status() == health::Status::down) tell(left->gone());
  }
}

void HealthMonitor::on_connect_failed(const routing::ServerKey& server,
                                      const std::shared_ptr<routing::ServerRuntime>& runtime) {
  const auto found = watched_.find(server);
  if (found != watched_.end() && found->second->runtime() == runtime) {
    found->second->take_out("an exchange's connect failed");
  } else {
    // Nobody would bring it back.
    runtime->up.store(true, std::memory_order_relaxed);
  }
}

void HealthMonitor::await_pass(const routing::ServerKey& server) {
  const auto found = watched_.find(server);
  if (found != watched_.end()) found->second->forget();
}

void HealthMonitor::hurry(const routing::ServerKey& server) {
  const auto found = watched_.find(server);
  if (found != watched_.end()) found->second->hurry();
}

bool HealthMonitor::first_round_done() const {
  return std::all_of(watched_.begin(), watched_.end(), [](const auto& entry) {
    return entry.second->status() != health::Status::unknown;
  });
}

void HealthMonitor::when_first_round_done(std::function<void()> then) {
  first_round_done_ = std::move(then);
  host_.loop().post([this] { on_verdict(); });
}

void HealthMonitor::on_verdict() {
  if (!first_round_done_ || !first_round_done()) return;
  const auto then = std::exchange(first_round_done_, nullptr);
  then();
}

void HealthMonitor::when_status_changes(std::function<void(const admin::HealthChange&)> then) {
  status_changed_ = std::move(then);
}

void HealthMonitor::tell(const admin::HealthChange& change) {
  if (status_changed_) status_changed_(change);
}

void HealthMonitor::stop() {
  stopped_ = true;
  first_round_done_ = nullptr;
  watched_.clear();
}

std::optional<HealthMonitor::Known> HealthMonitor::known(const routing::ServerKey& server) const {
  const auto found = watched_.find(server);
  if (found == watched_.end()) return {};
  return found->second->known();
}

}  // namespace sluice::proxy

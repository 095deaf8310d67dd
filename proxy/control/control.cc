#include "proxy/control/control.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "conf/parser.h"
#include "proxy/control/change_events.h"
#include "proxy/control/event_log.h"
#include "proxy/control/lease_keeper.h"
#include "proxy/control/server_settings.h"
#include "proxy/control/sticky_key_file.h"
#include "proxy/control/version.h"
#include "proxy/io/uring_ring.h"

namespace sluice::proxy {

// In the order of their making; each may use those before it.
struct Control::Running {
  Running(Control& control, std::unique_ptr<io::Ring> ring, std::size_t worker_count)
      : owner(control),
        reactor(std::move(ring), control.own_counters_, control.own_connections_, control.config_),
        events(reactor.loop(), control.started_),
        background(std::make_unique<Background>(reactor.loop())),
        ledger_thread(std::make_unique<Background>(reactor.loop())),
        access(reactor.loop(), *background),
        registry(worker_count),
        workers(worker_count, control.connections_, control),
        publisher(reactor.loop(), workers),
        health(reactor),
        webhooks(reactor, events),
        listeners(worker_count, ticket_keys),
        backup(reactor.loop(), *control.ledger_),
        changes(control.book_, *control.ledger_, *ledger_thread, publisher,
                [&control] { control.publish(); }),
        leases(reactor.loop(), control.book_, changes),
        signals(reactor.loop(), [&control](int signal) { control.on_signal(signal); }),
        ready_timer(io::Timer::calling<&Running::on_ready_timeout>(this)),
        drain_timer(io::Timer::calling<&Running::on_drain_timer>(this)) {}

  void use_ledger_settings(const conf::Ledger& ledger) {
    changes.keep(ledger.history);
    backup.use_path(ledger.copy_to);
  }
  void on_ready_timeout() { owner.become_ready("some servers have no probe result yet"); }
  void on_drain_timer() { owner.poll_shutdown(); }

  Control& owner;
  std::shared_ptr<tls::TicketKeys> ticket_keys = tls::make_ticket_keys();
  Reactor reactor;
  EventBus events;
  std::unique_ptr<Background> background;     // the first to end: its jobs use the others
  std::unique_ptr<Background> ledger_thread;  // likewise; the ledger waits for nothing else
  AdminAccess access;
  AuditLog audit;
  std::shared_ptr<const StickyKeyRing> sticky_keys;  // as the workers have them
  routing::Registry registry;
  WorkerThreads workers;
  Publisher publisher;
  HealthMonitor health;
  Webhooks webhooks;
  Listeners listeners;
  LedgerBackup backup;
  ChangeQueue changes;
  LeaseKeeper leases;
  Signals signals;
  io::Timer ready_timer;
  io::Timer drain_timer;
  std::unique_ptr<AdminEndpoint> endpoint;  // once there is a snapshot
};

// One reload on its way from the file to the workers.
struct Reload {
  std::shared_ptr<const conf::Config> config;
  ServerSettingsTablePtr servers;
  Listeners::Prepared listeners;
  std::shared_ptr<AccessLog> access_log;
  AuditLog::Sink audit_sink;
  AdminAccess::Prepared access;
  WebhookTable webhooks;
  std::shared_ptr<const StickyKeyRing> sticky_keys;
  std::vector<std::string> errors;
  std::vector<std::string> conflicts;
};

namespace {

std::expected<std::shared_ptr<AccessLog>, std::string> open_access_log(const conf::Config& config,
                                                                       std::size_t workers) {
  if (!config.access_log.enabled) return nullptr;
  return AccessLog::open(config.access_log.path, workers);
}

std::expected<std::shared_ptr<const StickyKeyRing>, std::vector<std::string>> load_keys(
    const conf::Config& config) {
  auto loaded = load_sticky_keys(config, /*make_missing=*/true);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  for (const std::string& warning : loaded->warnings) {
    log_event(Level::warning, "key_file", {{"reason", warning}});
  }
  return std::make_shared<const StickyKeyRing>(std::move(loaded->ring));
}

}  // namespace

Control::Control(std::shared_ptr<const conf::Config> config, std::string config_path,
                 OnReady on_ready)
    : file_config_(std::move(config)),
      config_(file_config_),
      config_path_(std::move(config_path)),
      on_ready_(std::move(on_ready)),
      started_(std::chrono::system_clock::now()) {
}

Control::~Control() = default;

int Control::run() {
  if (const auto started = start(); !started) {
    for (const std::string& error : started.error()) {
      log_event(Level::error, "cannot_start", {{"reason", error}});
    }
    if (running_) join();
    return 1;
  }
  running_->reactor.run();
  join();
  log_event(Level::info, "stopped");
  return 0;
}

// --- Start ------------------------------------------------------------------------------------

std::expected<void, std::vector<std::string>> Control::start() {
  const std::size_t worker_count = config_->runtime.workers.value_or(available_cores());
  log_event(Level::info, "starting",
            {{"version", SLUICE_VERSION},
             {"pid", std::to_string(::getpid())},
             {"workers", std::to_string(worker_count)},
             {"config", config_path_}});
  if (const auto restored = restore_state(); !restored) {
    return std::unexpected(std::vector{restored.error()});
  }
  auto ring = io::make_uring_ring();
  if (!ring) return std::unexpected(std::vector{ring.error()});
  running_ = std::make_unique<Running>(*this, std::move(*ring), worker_count);
  loop_ = &running_->reactor.loop();
  auto prepared = running_->listeners.prepare(*config_);
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  auto servers = load_server_settings(*config_);
  if (!servers) return std::unexpected(std::move(servers.error()));
  servers_ = std::make_shared<const ServerSettingsTable>(std::move(*servers));
  auto access = AdminAccess::prepare(*config_);
  if (!access) return std::unexpected(std::move(access.error()));
  const auto webhooks = load_webhooks(*config_);
  if (!webhooks) return std::unexpected(webhooks.error());
  auto sticky_keys = load_keys(*config_);
  if (!sticky_keys) return std::unexpected(std::move(sticky_keys.error()));
  auto log = open_access_log(*config_, worker_count);
  if (!log) return std::unexpected(std::vector{log.error()});
  access_log_ = std::move(*log);
  auto audit_sink = AuditLog::open(*config_);
  if (!audit_sink) return std::unexpected(std::vector{audit_sink.error()});
  running_->audit.use(std::move(*audit_sink));
  // After all that can fail: a start that fails leaves the ledger as it was.
  if (const auto taken = take_config_over(); !taken) {
    return std::unexpected(std::vector{taken.error()});
  }
  lapse_overdue_leases();

  take_members_over();
  auto snapshot = running_->registry.build(config_, book_.state, ++epoch_, false, loop_->now());
  if (const auto started = running_->workers.start(snapshot, servers_, access_log_); !started) {
    return std::unexpected(std::vector{started.error()});
  }
  use_sticky_keys(std::move(*sticky_keys));
  running_->publisher.started_with(snapshot);
  running_->access.commit(std::move(*access));
  running_->use_ledger_settings(config_->ledger);
  running_->webhooks.use(*webhooks);
  connect_events();
  running_->health.watch(*snapshot, *servers_);
  running_->endpoint = std::make_unique<AdminEndpoint>(ControlParts{
      config_, book_, running_->workers, running_->publisher, running_->health, running_->changes,
      *ledger_, running_->backup, running_->leases, running_->listeners, running_->reactor,
      own_counters_, started_, [this](CommandRunner::ReloadCall call) { reload(std::move(call)); },
      running_->access, running_->audit, running_->events, running_->webhooks,
      running_->sticky_keys});
  running_->changes.when_changed([this](const routing::Revision&) {
    running_->backup.ledger_changed();
    running_->leases.look();
  });
  running_->leases.look();
  running_->listeners.commit(std::move(*prepared), running_->workers, running_->reactor,
                             running_->endpoint->admin(), running_->endpoint->read_only());
  running_->reactor.loop().timers().arm(
      running_->ready_timer, running_->reactor.loop().now() + config_->runtime.ready_timeout);
  running_->health.when_first_round_done([this] { become_ready({}); });
  return {};
}

void Control::connect_events() {
  EventBus& events = running_->events;
  running_->health.when_status_changes(
      [&events](const admin::HealthChange& change) { events.publish(happening_of(change)); });
  running_->changes.observe(
      [&events](const ChangeQueue::Outcome& outcome) { publish_outcome(events, outcome); });
  for (const auto& [name, reason] : start_alarms_) events.set_alarm(name, reason);
  for (const routing::Revision& lapse : lapsed_at_start_) publish_revision(events, lapse);
  lapsed_at_start_.clear();
}

std::expected<void, std::string> Control::restore_state() {
  auto opened =
      LedgerStore::open({config_->runtime.state_directory, config_->ledger.second_directory});
  if (!opened) return std::unexpected(opened.error());
  ledger_ = std::move(opened->store);
  book_.state = routing::State(std::move(opened->base));
  // What the ledger keeps, until it is compacted.
  book_.history = routing::History(2 * config_->ledger.history + 1);
  for (const routing::Revision& revision : opened->revisions) book_.add(revision);
  if (opened->torn_bytes > 0) {
    log_event(Level::warning, "ledger_torn_tail_cut",
              {{"bytes", std::to_string(opened->torn_bytes)},
               {"meaning", "a change that was never acknowledged"}});
  }
  for (const std::string& repair : opened->repairs) {
    log_event(Level::warning, "ledger_repaired", {{"reason", repair}});
  }
  if (!opened->damage.empty()) {
    start_alarms_["ledger_damaged"] = opened->damage;
    log_event(Level::error, "ledger_damaged",
              {{"reason", opened->damage},
               {"meaning", "traffic follows the revisions before the damage; changes are refused"},
               {"revision", std::to_string(book_.state.revision())}});
  }
  return {};
}

std::expected<void, std::string> Control::take_config_over() {
  const auto plan = book_.state.plan_reload(*config_, started_);
  if (!plan.errors.empty()) return std::unexpected(plan.errors.front());
  for (const std::string& conflict : plan.conflicts) {
    log_event(Level::warning, "split_conflict", {{"reason", conflict}});
  }
  if (!plan.revision) return {};
  // A ledger that takes no record must not keep the traffic from flowing.
  if (const auto written = ledger_->append(*plan.revision); !written) {
    log_event(Level::error, "ledger_write_failed", {{"reason", written.error()}});
    start_alarms_[std::string(kLedgerAlarm)] = written.error();
    ledger_->owe(*plan.revision);
  }
  book_.add(*plan.revision);
  return {};
}

// What lapsed while nobody was there to see it, before a request is served by it.
void Control::lapse_overdue_leases() {
  std::vector<routing::RevisionNumber> overdue;
  for (const auto& [number, lease] : book_.state.leases()) {
    if (lease.lease.deadline <= started_) overdue.push_back(number);
  }
  for (const routing::RevisionNumber number : overdue) {
    const auto lapse = plan_lapse(book_.state, number, started_);
    if (!lapse) continue;  // an earlier one of these was the last that held for its routes
    if (const auto written = ledger_->append(*lapse); !written) {
      log_not_lapsed(number, written.error());
      return;  // the lease keeper tries again
    }
    book_.add(*lapse);
    lapsed_at_start_.push_back(*lapse);
    log_lapse(*lapse);
  }
}

void Control::become_ready(std::string why) {
  if (ready_ || shutting_down_) return;
  ready_ = true;
  running_->ready_timer.cancel();
  const std::string sentence =
      why.empty() ? "ready: every server has been probed" : "ready: " + why;
  // Nobody is told before every worker says the same on its health path.
  auto left = std::make_shared<std::atomic<std::size_t>>(running_->workers.size());
  running_->workers.post_all([this, left, sentence](Worker& worker, Reactor&) {
    worker.set_ready(true);
    if (left->fetch_sub(1) == 1) loop_->post([this, sentence] { announce_ready(sentence); });
  });
}

void Control::announce_ready(const std::string& sentence) {
  if (shutting_down_) return;
  running_->endpoint->set_ready({true, sentence});
  log_event(Level::info, "ready", {{"reason", sentence}});
  service_manager_.ready(sentence);
  if (on_ready_) on_ready_(running_->listeners.open());
}

// --- Routing ----------------------------------------------------------------------------------

void Control::publish() {
  take_members_over();
  auto snapshot = running_->registry.build(config_, book_.state, ++epoch_, false, loop_->now());
  running_->publisher.publish(snapshot, servers_);
  running_->health.watch(*snapshot, *servers_);
}

void Control::take_members_over() {
  const auto& members = book_.state.image().members;
  // A shift changes neither.
  if (config_made_of_ == file_config_ && members_taken_ == members) return;
  config_made_of_ = file_config_;
  members_taken_ = members;
  config_ =
      members.empty()
          ? file_config_
          : std::make_shared<const conf::Config>(routing::with_members(*file_config_, book_.state));
  running_->reactor.use_config(config_);
}

void Control::on_adopted(std::size_t worker, std::uint64_t epoch) {
  loop_->post([this, worker, epoch] { running_->publisher.note_adopted(worker, epoch); });
}

void Control::on_connect_failed(const routing::ServerKey& server,
                                std::shared_ptr<routing::ServerRuntime> runtime) {
  loop_->post([this, server, runtime = std::move(runtime)] {
    running_->health.on_connect_failed(server, runtime);
  });
}

// --- Signals, reload --------------------------------------------------------------------------

void Control::on_signal(int signal) {
  if (signal == SIGHUP) {
    reload();
    return;
  }
  if (shutting_down_) {
    log_event(Level::warning, "stopping_at_once",
              {{"connections_cut", std::to_string(connections_.open.load())}});
    ::_exit(1);
  }
  begin_shutdown();
}

void Control::reload(std::optional<CommandRunner::ReloadCall> call) {
  if (shutting_down_) {
    if (call) call->then({.errors = {"Sluice is on its way out"}, .conflicts = {}});
    return;
  }
  if (reloading_) {
    reload_again_ = true;
    if (call) next_reload_waiters_.push_back(std::move(*call));
    return;
  }
  if (call) reload_waiters_.push_back(std::move(*call));
  reloading_ = true;
  service_manager_.reloading();
  auto reload = std::make_shared<Reload>();
  running_->background->run(
      [this, reload, workers = running_->workers.size()] {
        auto loaded = conf::load(config_path_);
        if (!loaded) {
          for (const conf::ConfigError& error : loaded.error()) {
            reload->errors.push_back(error.to_string());
          }
          return;
        }
        reload->config = std::make_shared<const conf::Config>(std::move(*loaded));
        auto servers = load_server_settings(*reload->config);
        if (!servers) {
          reload->errors = std::move(servers.error());
          return;
        }
        reload->servers = std::make_shared<const ServerSettingsTable>(std::move(*servers));
        auto webhooks = load_webhooks(*reload->config);
        if (!webhooks) {
          reload->errors = std::move(webhooks.error());
          return;
        }
        reload->webhooks = std::move(*webhooks);
        auto sticky_keys = load_keys(*reload->config);
        if (!sticky_keys) {
          reload->errors = std::move(sticky_keys.error());
          return;
        }
        reload->sticky_keys = std::move(*sticky_keys);
        auto prepared = running_->listeners.prepare(*reload->config);
        if (!prepared) {
          reload->errors = std::move(prepared.error());
          return;
        }
        reload->listeners = std::move(*prepared);
        auto access = AdminAccess::prepare(*reload->config);
        if (!access) {
          reload->errors = std::move(access.error());
          return;
        }
        reload->access = std::move(*access);
        auto log = open_access_log(*reload->config, workers);
        if (!log) {
          reload->errors.push_back(log.error());
          return;
        }
        reload->access_log = std::move(*log);
        auto audit_sink = AuditLog::open(*reload->config);
        if (!audit_sink) {
          reload->errors.push_back(audit_sink.error());
          return;
        }
        reload->audit_sink = std::move(*audit_sink);
      },
      [this, reload] { finish_reload(reload); });
}

void Control::finish_reload(std::shared_ptr<Reload> reload) {
  const auto refuse = [this, reload] {
    for (const std::string& error : reload->errors) {
      log_event(Level::error, "reload_refused", {{"reason", error}});
    }
    running_->endpoint->count_reload(false);
    running_->events.publish(admin::reload_refused(reload->errors));
    if (reload->errors.empty()) reload->errors.push_back("Sluice is on its way out");
    end_reload("reload refused: " + reload->errors.front(), {reload->errors, {}});
  };
  if (!reload->errors.empty() || shutting_down_) {
    refuse();
    return;
  }
  running_->changes.submit(
      [this, reload](const routing::State& state)
          -> std::expected<std::optional<routing::Revision>, routing::PlanError> {
        auto plan = state.plan_reload(*reload->config, running_->reactor.loop().wall_now());
        if (!plan.errors.empty()) {
          return std::unexpected(routing::PlanError{.message = plan.errors.front()});
        }
        reload->conflicts = std::move(plan.conflicts);
        if (plan.revision && !reload_waiters_.empty()) {
          plan.revision->origin = reload_waiters_.front().origin;
        }
        return std::move(plan.revision);
      },
      [this, reload, refuse](const ChangeQueue::Outcome& outcome) {
        if (outcome.refused) reload->errors.push_back(outcome.refused->message);
        if (!outcome.ledger_error.empty()) reload->errors.push_back(outcome.ledger_error);
        if (!reload->errors.empty()) {
          refuse();
          return;
        }
        for (const std::string& conflict : reload->conflicts) {
          log_event(Level::warning, "split_conflict", {{"reason", conflict}});
        }
        log_event(outcome.behind.empty() ? Level::info : Level::error, "reloaded",
                  {{"revision", std::to_string(book_.state.revision())},
                   {"workers_behind", std::to_string(outcome.behind.size())}});
        running_->endpoint->count_reload(true);
        running_->events.publish(admin::reload_accepted(book_.state.revision(), reload->conflicts));
        end_reload("ready", {{}, reload->conflicts});
      },
      config_->runtime.adopt_timeout,
      [this, reload](const routing::Revision*) {
        if (reload->config->runtime.workers != config_->runtime.workers ||
            reload->config->runtime.state_directory != config_->runtime.state_directory ||
            reload->config->ledger.second_directory != config_->ledger.second_directory) {
          log_event(
              Level::warning, "needs_restart",
              {{"reason", "workers, state_directory and second_directory are read at start only"}});
        }
        file_config_ = reload->config;
        take_members_over();
        servers_ = reload->servers;
        running_->use_ledger_settings(config_->ledger);
        running_->webhooks.use(reload->webhooks);
        if (shutting_down_) return true;  // no listener is opened on the way out
        running_->access.commit(std::move(reload->access));
        running_->listeners.commit(std::move(reload->listeners), running_->workers,
                                   running_->reactor, running_->endpoint->admin(),
                                   running_->endpoint->read_only());
        use_sticky_keys(std::move(reload->sticky_keys));
        swap_access_log(std::move(reload->access_log));
        // Its end may take a while.
        reload->audit_sink = running_->audit.use(std::move(reload->audit_sink));
        running_->background->run([reload] { reload->audit_sink.reset(); }, [] {});
        return true;
      });
}

void Control::end_reload(const std::string& status, const ReloadVerdict& verdict) {
  reloading_ = false;
  for (CommandRunner::ReloadCall& call : std::exchange(reload_waiters_, {})) call.then(verdict);
  reload_waiters_ = std::exchange(next_reload_waiters_, {});
  if (ready_ && !shutting_down_) service_manager_.ready(status);
  if (!std::exchange(reload_again_, false)) return;
  if (!shutting_down_) {
    reload();
    return;
  }
  for (CommandRunner::ReloadCall& call : std::exchange(reload_waiters_, {})) {
    call.then({.errors = {"Sluice is on its way out"}, .conflicts = {}});
  }
}

// Before the workers adopt what needs them.
void Control::use_sticky_keys(std::shared_ptr<const StickyKeyRing> keys) {
  running_->sticky_keys = keys;
  running_->workers.post_all([keys](Worker& worker, Reactor&) { worker.use_sticky_keys(keys); });
}

// The old log is closed, which may take its writer a while, once no worker writes to it any more.
void Control::swap_access_log(std::shared_ptr<AccessLog> log) {
  auto old = std::make_shared<std::shared_ptr<AccessLog>>(std::exchange(access_log_, log));
  auto left = std::make_shared<std::atomic<std::size_t>>(running_->workers.size());
  running_->workers.post_all([this, log, old, left](Worker& worker, Reactor&) {
    worker.use_access_log(log);
    if (left->fetch_sub(1) > 1) return;
    loop_->post([this, old] {
      if (running_->background) running_->background->run([old] { old->reset(); }, [] {});
    });
  });
}

// --- Stop -------------------------------------------------------------------------------------

void Control::begin_shutdown() {
  shutting_down_ = true;
  drain_deadline_ = running_->reactor.loop().now() + config_->runtime.drain_timeout;
  // Before anybody is told.
  running_->workers.leave();
  running_->endpoint->set_ready({false, "draining: the process is on its way out"});
  service_manager_.stopping("draining");
  log_event(Level::info, "draining",
            {{"client_connections", std::to_string(connections_.open.load())}});
  running_->workers.post_all([](Worker&, Reactor& reactor) { reactor.drain(); });
  poll_shutdown();
}

void Control::poll_shutdown() {
  const TimePoint now = running_->reactor.loop().now();
  const std::uint64_t open = connections_.open.load();
  // A worker that has not begun to drain yet may still accept, so the first look is a poll later.
  const bool begun = drain_deadline_ - now < config_->runtime.drain_timeout;
  // What callers wait for is answered, as long as that takes no longer than the drain may.
  const bool busy = reloading_ || !running_->changes.idle();
  if ((open > 0 || busy || !begun) && now < drain_deadline_) {
    running_->reactor.loop().timers().arm(running_->drain_timer, now + kDrainPollTime);
    return;
  }
  if (open > 0) {
    log_event(Level::warning, "drain_deadline", {{"connections_cut", std::to_string(open)}});
  }
  running_->reactor.loop().stop();
}

void Control::join() {
  shutting_down_ = true;
  unblock_signals();
  Running& running = *running_;
  running.background.reset();
  running.ledger_thread.reset();
  running.ready_timer.cancel();
  running.drain_timer.cancel();
  running.leases.stop();
  if (running.endpoint) running.endpoint->stop();
  running.access.stop();
  running.workers.stop();
  running.health.stop();
  running.webhooks.stop();
  running.signals.stop();
  running.reactor.drain();
  // What was answered a moment ago gets out; nobody is waited for.
  const TimePoint give_up = running.reactor.loop().now() + std::chrono::milliseconds(200);
  while (running.reactor.client_connections() > 0 && running.reactor.loop().now() < give_up) {
    running.reactor.loop().turn(give_up);
  }
  running.reactor.cut_clients();
  running.reactor.join();
  running_.reset();
  access_log_.reset();
}

}  // namespace sluice::proxy

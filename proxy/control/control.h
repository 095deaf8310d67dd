// Control: the process from start to exit: opens the ledger, starts the workers, serves the admin
// listeners, probes the servers, reloads on SIGHUP, drains on SIGTERM. Runs on the thread that
// calls run(), on the same kind of loop as the workers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "proxy/control/admin_endpoint.h"
#include "proxy/control/background.h"
#include "proxy/control/change_queue.h"
#include "proxy/control/event_bus.h"
#include "proxy/control/health_monitor.h"
#include "proxy/control/ledger_store.h"
#include "proxy/control/listeners.h"
#include "proxy/control/publisher.h"
#include "proxy/control/service_manager.h"
#include "proxy/control/signals.h"
#include "proxy/control/webhooks.h"
#include "proxy/control/worker_threads.h"
#include "routing/snapshot.h"

namespace sluice::proxy {

class Control final : private WorkerObserver {
 public:
  // How often a drain looks whether it is done.
  static constexpr Duration kDrainPollTime = std::chrono::milliseconds(20);

  // Told once, when the process is ready to serve.
  using OnReady = std::function<void(const std::map<std::string, Listeners::Open>& listeners)>;

  // `config` was read from `config_path`, which reloads read again.
  // Precondition: block_signals() has been called.
  Control(std::shared_ptr<const conf::Config> config, std::string config_path,
          OnReady on_ready = {});
  ~Control();

  // Until it is told to stop. The exit status: 0, or 1 if it could not start (errors are logged).
  int run();

 private:
  struct Running;  // what exists between start and exit

  // WorkerObserver, on workers' threads.
  void on_adopted(std::size_t worker, std::uint64_t epoch) override;
  void on_connect_failed(const routing::ServerKey& server,
                         std::shared_ptr<routing::ServerRuntime> runtime) override;

  std::expected<void, std::vector<std::string>> start();
  void connect_events();
  std::expected<void, std::string> restore_state();
  std::expected<void, std::string> take_config_over();
  void become_ready(std::string why);
  void announce_ready(const std::string& sentence);
  void publish();
  void use_sticky_keys(std::shared_ptr<const StickyKeyRing> keys);
  void swap_access_log(std::shared_ptr<AccessLog> log);

  void on_signal(int signal);
  // Reads the file anew; `then` hears what became of it, of a reading that began after the call.
  // nullopt: nobody waits for the verdict.
  void reload(std::optional<CommandRunner::ReloadCall> call = {});
  void finish_reload(std::shared_ptr<struct Reload> reload);
  void end_reload(const std::string& status, const ReloadVerdict& verdict);
  void lapse_overdue_leases();
  void begin_shutdown();
  void poll_shutdown();
  void join();
  void take_members_over();

  std::shared_ptr<const conf::Config> file_config_;     // as the file has it
  std::shared_ptr<const conf::Config> config_;          // with the servers that came or went since
  std::shared_ptr<const conf::Config> config_made_of_;  // what config_ was made of, with these
  std::map<routing::ServerKey, routing::MemberState> members_taken_;
  ServerSettingsTablePtr servers_;  // of config_'s backends
  const std::string config_path_;
  const OnReady on_ready_;
  const WallTime started_;
  ServiceManager service_manager_;
  admin::WorkerCounters own_counters_;
  ConnectionCount connections_;      // of the workers
  ConnectionCount own_connections_;  // of the admin listeners
  routing::Book book_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<LedgerStore> ledger_;
  std::shared_ptr<AccessLog> access_log_;
  // From before there was anyone to tell.
  std::map<std::string, std::string> start_alarms_;
  std::vector<routing::Revision> lapsed_at_start_;
  std::unique_ptr<Running> running_;
  io::Loop* loop_ = nullptr;  // running_'s: workers post to it
  bool ready_ = false;
  bool reloading_ = false;
  bool reload_again_ = false;
  std::vector<CommandRunner::ReloadCall> reload_waiters_;       // of the one that runs
  std::vector<CommandRunner::ReloadCall> next_reload_waiters_;  // of the one after it
  bool shutting_down_ = false;
  TimePoint drain_deadline_ = kNever;
};

}  // namespace sluice::proxy

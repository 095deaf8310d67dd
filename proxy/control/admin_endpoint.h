// AdminEndpoint: the admin listeners' requests, between the connection and the room admin/: finds
// out who asks, shows admin/ what control knows, carries the commands out, and answers when they
// are in force. Control's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "admin/api.h"
#include "admin/view.h"
#include "proxy/control/admin_access.h"
#include "proxy/control/audit_log.h"
#include "proxy/control/change_queue.h"
#include "proxy/control/command_runner.h"
#include "proxy/control/event_streams.h"
#include "proxy/control/health_monitor.h"
#include "proxy/control/lease_keeper.h"
#include "proxy/control/ledger_backup.h"
#include "proxy/control/listeners.h"
#include "proxy/control/publisher.h"
#include "proxy/control/webhooks.h"
#include "proxy/control/worker_threads.h"
#include "proxy/data/local_service.h"
#include "proxy/data/sticky_cookie.h"
#include "routing/history.h"
#include "routing/observed.h"

namespace sluice::proxy {

// What control owns and the endpoint reads. All outlive it.
struct ControlParts {
  const std::shared_ptr<const conf::Config>& config;
  const routing::Book& book;
  WorkerThreads& workers;
  Publisher& publisher;
  HealthMonitor& health;
  ChangeQueue& changes;
  const LedgerStore& ledger;
  const LedgerBackup& backup;
  const LeaseKeeper& leases;
  const Listeners& listeners;
  Reactor& reactor;
  const admin::WorkerCounters& own_counters;
  WallTime started;
  std::function<void(CommandRunner::ReloadCall)> reload;
  const AdminAccess& access;
  AuditLog& audit;
  EventBus& events;
  const Webhooks& webhooks;
  const std::shared_ptr<const StickyKeyRing>& sticky_keys;
};

class AdminEndpoint {
 public:
  static constexpr Duration kObserveTime = std::chrono::seconds(1);
  // How often servers that drain are looked at, to tell when they are safe to stop.
  static constexpr Duration kDrainWatchTime = std::chrono::milliseconds(100);

  explicit AdminEndpoint(ControlParts parts);
  ~AdminEndpoint();

  Service& admin() { return admin_; }
  Service& read_only() { return read_only_; }

  // What /readyz says.
  void set_ready(admin::Verdict verdict) { ready_ = std::move(verdict); }
  void count_reload(bool accepted) { ++(accepted ? reloads_accepted_ : reloads_refused_); }
  // Answers what still waits (with what is so now) and stops the timers.
  void stop();

 private:
  void on_admin(LocalRequest request, Answer answer);
  void on_read_only(LocalRequest request, Answer answer);
  admin::Request make_request(const http::RequestHead& head, const ClientInfo& client) const;
  admin::Request make_request_line(const http::RequestHead& head, const ClientInfo& client) const;
  std::optional<LocalReply> refuse_head(const http::RequestHead& head, const ClientInfo& client);
  LocalReply on_admin_refusal(const LocalService::Refusal& refusal);
  void audit(const admin::Request& request, const admin::Reply& reply,
             const routing::Revision* revision);
  void reply(const admin::Request& request, const admin::Reply& reply, const Answer& answer,
             const routing::Revision* revision);
  void observe();
  void watch_drains();

  admin::View view() const;
  // As far as it takes to tell who calls.
  admin::View view_of_callers() const;
  std::vector<admin::Adoption> adoptions() const;
  std::vector<admin::ServerView> servers() const;
  void open_stream(const admin::Request& request, const admin::Follow& follow,
                   const Answer& answer);
  bool is_safe_to_stop(std::size_t backend, std::size_t server) const;
  bool drained_everywhere(std::size_t backend, std::size_t server) const;
  admin::MetricsInput collect_metrics() const;

  ControlParts parts_;
  EventStreams streams_;
  LocalService admin_;
  LocalService read_only_;
  CommandRunner commands_;
  io::Timer observe_timer_;
  io::Timer drain_timer_;
  std::map<std::string, routing::ObservedShare> observed_;
  std::set<routing::ServerKey> told_safe_;  // drained servers whose event has been published
  admin::Verdict ready_{false, "starting: the first health probes are under way"};
  std::uint64_t reloads_accepted_ = 0;
  std::uint64_t reloads_refused_ = 0;
  admin::MetricsInput::AdminCalls calls_;
};

}  // namespace sluice::proxy

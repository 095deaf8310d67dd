#include "conf/keys.h"

#include <utility>

#include "conf/admin_keys.h"
#include "conf/bound_keys.h"
#include "conf/kinds.h"
#include "conf/listener_keys.h"
#include "conf/route_keys.h"
#include "conf/webhook_keys.h"

namespace sluice::conf {
namespace {

constexpr std::size_t kListenersMax = 64;
constexpr std::size_t kBackendsMax = 4096;
constexpr std::size_t kRoutesMax = 16'384;

Section<Runtime> runtime_section() {
  return Section(Runtime{})
      .value("workers", worker_count(), &Runtime::workers,
             "Event loops; `auto` is one for each core that affinity and CPU quota really give")
      .value("state_directory", file_path(), &Runtime::state_directory,
             "Where the ledger of revisions is kept")
      .value("drain_timeout", duration(), &Runtime::drain_timeout,
             "How long running exchanges may take to finish after SIGTERM")
      .value("adopt_timeout", duration(), &Runtime::adopt_timeout,
             "How long a shift waits for every worker before it answers 504")
      .value("ready_timeout", duration(), &Runtime::ready_timeout,
             "How long readiness waits for the first round of probes");
}

constexpr std::uint64_t kHistoryMin = 100;
constexpr std::uint64_t kHistoryMax = 100'000;

Section<Ledger> ledger_section() {
  return Section(Ledger{})
      .optional(
          "second_directory", file_path(),
          [](Ledger& ledger, std::string path) { ledger.second_directory = std::move(path); },
          "Where the second copy of the ledger is kept, on another disk where there is one; "
          "without it beside the first")
      .optional(
          "copy_to", file_path(),
          [](Ledger& ledger, std::string path) { ledger.copy_to = std::move(path); },
          "A file that gets the whole ledger after each change, without the change waiting for it")
      .value("history", count(kHistoryMin, kHistoryMax), &Ledger::history,
             "How many revisions are kept at least to be looked at and rolled back to");
}

Section<AccessLog> access_log_section() {
  return Section(AccessLog{.enabled = true})
      .value("enabled", boolean(), &AccessLog::enabled,
             "Whether exchanges are logged; on where the table stands, off where it is missing")
      .value("path", log_sink(), &AccessLog::path, "Where to, one JSON object a line");
}

Section<AuditLog> audit_log_section() {
  return Section(AuditLog{})
      .value("path", log_sink(), &AuditLog::path, "Where to, one JSON object a line");
}

Section<Draft> make_file_section() {
  return Section(Draft{})
      .table(
          "runtime", runtime_section(),
          [](Draft& draft, const Entry&) -> Runtime& { return draft.config.runtime; },
          "The process itself")
      .table(
          "ledger", ledger_section(),
          [](Draft& draft, const Entry&) -> Ledger& { return draft.config.ledger; },
          "The file of revisions")
      .table(
          "timeouts", timeouts_section(Level::file),
          [](Draft& draft, const Entry&) -> Timeouts& { return draft.config.timeouts; },
          "How long each part of an exchange may take")
      .table(
          "limits", limits_section(Level::file),
          [](Draft& draft, const Entry&) -> Limits& { return draft.config.limits; },
          "How much memory, how many connections and requests")
      .named_tables(
          "listeners", listener_section(),
          [](Draft& draft, const Entry& entry) -> Listener& {
            Listener& listener = draft.config.listeners.emplace_back();
            listener.name = entry.key;
            listener.line = entry.at.line;
            listener.timeouts = draft.config.timeouts;
            listener.limits = draft.config.limits;
            return listener;
          },
          kListenersMax, "Where clients connect")
      .table(
          "health", health_section("Probe servers; those that are not probed count as up"),
          [](Draft& draft, const Entry&) -> HealthDraft& { return draft.health; },
          "How servers are probed, for all backends that don't say otherwise")
      .named_tables(
          "backends", backend_section(),
          [](Draft& draft, const Entry& entry) -> BackendDraft& {
            BackendDraft& backend = draft.backends.emplace_back();
            backend.backend.name = entry.key;
            backend.health = draft.health;
            return backend;
          },
          kBackendsMax, "Named sets of interchangeable servers")
      .named_tables(
          "routes", route_section(),
          [](Draft& draft, const Entry& entry) -> Route& {
            Route& route = draft.config.routes.emplace_back();
            route.name = entry.key;
            route.timeouts = draft.config.timeouts;
            route.limits = draft.config.limits;
            return route;
          },
          kRoutesMax, "Which requests go to which backends, by host and path")
      .table(
          "admin", admin_section(),
          [](Draft& draft, const Entry&) -> Admin& { return draft.config.admin; },
          "The interface that shows and shifts traffic, and the one that only shows")
      .table(
          "access_log", access_log_section(),
          [](Draft& draft, const Entry&) -> AccessLog& {
            draft.config.access_log.enabled = true;
            return draft.config.access_log;
          },
          "A line for every exchange")
      .named_tables(
          "webhooks", webhook_section(),
          [](Draft& draft, const Entry& entry) -> Webhook& {
            Webhook& hook = draft.config.webhooks.emplace_back();
            hook.name = entry.key;
            hook.line = entry.at.line;
            return hook;
          },
          kWebhooksMax, "Who is called when something happens", Section<Draft>::Presence::optional)
      .table(
          "audit_log", audit_log_section(),
          [](Draft& draft, const Entry&) -> AuditLog& { return draft.config.audit_log; },
          "A line for every change that somebody asked for, and for every refusal");
}

}  // namespace

Draft::Draft() {
  config.admin = default_admin();
}

Config Draft::finish() && {
  for (BackendDraft& draft : backends) {
    if (draft.health.enabled) draft.backend.health = std::move(draft.health.check);
    config.backends.push_back(std::move(draft.backend));
  }
  return std::move(config);
}

const Section<Draft>& file_section() {
  static const Section<Draft> kSection = make_file_section();
  return kSection;
}

}  // namespace sluice::conf

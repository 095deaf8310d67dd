#include "proxy/control/command_runner.h"

#include <algorithm>
#include <utility>

#include "admin/parts.h"
#include "admin/plan.h"
#include "admin/problem.h"
#include "admin/render.h"
#include "routing/server_turns.h"

namespace sluice::proxy {

using routing::PlanError;
using routing::Revision;

namespace {

// One server, or all of a backend.
bool is_about(const admin::Drain& drain, const routing::ServerKey& server) {
  return drain.server.server.empty() ? server.backend == drain.server.backend
                                     : server == drain.server;
}

// A step back is meant from where the route stood when it was asked for: a call that waits must not
// undo what somebody else does meanwhile.
std::shared_ptr<const admin::Command> bound_to_present(
    const std::shared_ptr<const admin::Command>& command, const routing::State& state) {
  admin::Command bound = *command;
  for (routing::RouteWish& wish : std::get<admin::Change>(bound.action).transaction.routes) {
    const auto* back = std::get_if<routing::RollBack>(&wish.what);
    const routing::RouteState* route = state.route(wish.route);
    if (back != nullptr && !back->to && route != nullptr) wish.if_match = route->revision;
  }
  return std::make_shared<const admin::Command>(std::move(bound));
}

}  // namespace

// A caller who asked to be answered when a drain or resume is done, or to have a change made as
// soon as its backends can take it.
class CommandRunner::Waiting {
 public:
  Waiting(CommandRunner& runner, Call call, Made made, Duration time)
      : runner_(runner),
        call_(std::move(call)),
        made_(std::move(made)),
        time_(time),
        deadline_(runner.parts_.loop.now() + time),
        timer_(io::Timer::calling<&Waiting::look>(this)) {}

  // Frees *this when the wait is over.
  void look() {
    io::Loop& loop = runner_.parts_.loop;
    if (!call_.answer.awaited()) {
      runner_.waiting_.erase(this);
      return;
    }
    if (const auto* drain = std::get_if<admin::Drain>(&call_.command->action)) {
      if (is_over(*drain)) {
        const admin::View view = runner_.parts_.view();
        finish(made_.before ? admin::render_done(view, *call_.command, *made_.revision, true)
                            : admin::render_drain(view, *call_.command, made_.now() != nullptr));
        return;
      }
    } else if (const auto refused = still_refused(); !refused) {
      // By itself from here on: it is planned anew, and the guard has the last word.
      const auto self = std::move(runner_.waiting_.at(this));
      runner_.waiting_.erase(this);
      runner_.submit(call_);
      return;
    }
    if (loop.now() >= deadline_) {
      give_up();
      return;
    }
    loop.timers().arm(timer_, std::min(deadline_, loop.now() + kWaitPollTime));
  }
  void give_up() {
    const auto refused = still_refused();
    finish(refused ? admin::render_not_healthy(*refused, time_)
                   : admin::render_wait_lapsed(runner_.parts_.view(), *call_.command));
  }

 private:
  // Every server that the drain or resume is about.
  bool is_over(const admin::Drain& drain) {
    bool over = true;
    for (const admin::ServerView& server : runner_.parts_.view().servers) {
      if (!is_about(drain, server.key)) continue;
      const bool done = drain.draining ? server.safe_to_stop
                                       : !server.probed || server.status == health::Status::up;
      if (!done && !drain.draining) runner_.parts_.health.hurry(server.key);
      over = over && done;
    }
    return over;  // also where the servers left the configuration
  }
  // Of a change: the guard's refusal. nullopt: it would be made, or refused for another reason.
  std::optional<PlanError> still_refused() {
    if (!std::holds_alternative<admin::Change>(call_.command->action)) return {};
    const auto planned = admin::plan(*call_.command, runner_.parts_.book.state, runner_.facts(),
                                     runner_.parts_.loop.wall_now());
    if (planned || planned.error().kind != PlanError::Kind::no_healthy_server) return {};
    for (const admin::ServerView& server : runner_.parts_.view().servers) {
      if (!admin::takes_new_work(server) && !server.draining) {
        runner_.parts_.health.hurry(server.key);
      }
    }
    return planned.error();
  }
  void finish(const admin::Reply& reply) {
    const auto self = std::move(runner_.waiting_.at(this));
    runner_.waiting_.erase(this);
    runner_.reply(call_, reply, made_.now());
  }

  CommandRunner& runner_;
  Call call_;
  Made made_;
  Duration time_;
  TimePoint deadline_;
  io::Timer timer_;
};

CommandRunner::CommandRunner(Parts parts) : parts_(std::move(parts)) {
}

CommandRunner::~CommandRunner() = default;

void CommandRunner::stop() {
  while (!waiting_.empty()) waiting_.begin()->second->give_up();
}

void CommandRunner::run(std::shared_ptr<const admin::Request> request, admin::Command command,
                        Answer answer) {
  Call call{std::move(request), std::make_shared<const admin::Command>(std::move(command)),
            std::move(answer)};
  if (std::holds_alternative<admin::ReloadFile>(call.command->action)) {
    reload(std::move(call));
  } else if (call.command->dry_run) {
    try_out(call);
  } else {
    submit(std::move(call));
  }
}

void CommandRunner::reply(const Call& call, const admin::Reply& reply, const Revision* revision) {
  parts_.reply(*call.request, reply, call.answer, revision);
}

void CommandRunner::try_out(const Call& call) {
  // What the guard would refuse is a warning here.
  routing::Facts unguarded = facts();
  unguarded.takes_requests = {};
  const auto planned =
      admin::plan(*call.command, parts_.book.state, unguarded, parts_.loop.wall_now());
  reply(call,
        planned ? admin::render_dry_run(parts_.view(), *call.command, *planned)
                : admin::render_plan_error(parts_.view(), *call.command, planned.error()),
        nullptr);
}

void CommandRunner::reload(Call call) {
  routing::Origin origin = call.command->origin;
  parts_.reload({std::move(origin), [this, call = std::move(call)](const ReloadVerdict& verdict) {
                   reply(call,
                         admin::render_reload(*call.command, verdict.errors, verdict.conflicts,
                                              parts_.book.state.revision()),
                         nullptr);
                 }});
}

void CommandRunner::submit(Call call) {
  auto replayed = std::make_shared<routing::RevisionNumber>(0);
  parts_.changes.submit(
      [this, command = call.command,
       replayed](const routing::State& state) -> std::expected<std::optional<Revision>, PlanError> {
        if (command->key) {
          if (const routing::KnownKey* known = state.known_key(command->key->text)) {
            if (known->key.digest != command->key->digest) {
              return std::unexpected(
                  PlanError{PlanError::Kind::key_reused,
                            "this Idempotency-Key stands for another call, which made revision " +
                                std::to_string(known->revision) + ": take a new one"});
            }
            *replayed = known->revision;
            return std::nullopt;
          }
        }
        auto planned = admin::plan(*command, state, facts(), parts_.loop.wall_now());
        if (!planned) return std::unexpected(std::move(planned.error()));
        if (!state.changes_nothing(*planned)) return std::move(*planned);
        if (!command->key) return std::nullopt;
        return state.remembering(std::move(*planned));
      },
      [this, call, replayed](const ChangeQueue::Outcome& outcome) {
        on_outcome(call, *replayed, outcome);
      },
      parts_.config->runtime.adopt_timeout,
      [this](const Revision* revision) {
        if (revision != nullptr) await_passes(*revision);
        return false;
      });
}

// Whatever was known of a server before it was drained says nothing of what runs there now.
void CommandRunner::await_passes(const Revision& revision) {
  if (revision.kind != routing::RevisionKind::resume) return;
  for (const routing::DrainChange& change : revision.drains) {
    if (change.before && !change.after) parts_.health.await_pass(change.server);
  }
}

void CommandRunner::on_outcome(const Call& call, routing::RevisionNumber replayed,
                               const ChangeQueue::Outcome& outcome) {
  const Revision* revision = outcome.revision ? &*outcome.revision : nullptr;
  const admin::Command& command = *call.command;
  const auto* drain = std::get_if<admin::Drain>(&command.action);
  const auto* change = std::get_if<admin::Change>(&command.action);
  const Revision* earlier = parts_.book.history.find(replayed);  // none has number 0
  if (outcome.refused) {
    const bool waits = outcome.refused->kind == PlanError::Kind::no_healthy_server && change &&
                       change->wait_healthy;
    if (waits) {
      wait({call.request, bound_to_present(call.command, parts_.book.state), call.answer}, {},
           *change->wait_healthy);
    } else {
      reply(call, admin::render_plan_error(parts_.view(), command, *outcome.refused), nullptr);
    }
  } else if (!outcome.ledger_error.empty()) {
    reply(call, admin::render_ledger_failed(outcome.ledger_error), nullptr);
  } else if (!outcome.behind.empty()) {
    const auto number = revision ? revision->number : parts_.publisher.current()->revision;
    reply(call, admin::render_not_adopted(parts_.view(), number, outcome.behind), revision);
  } else if (drain && drain->wait && !is_undone(*drain)) {
    const bool before = earlier != nullptr;
    wait(call, {before ? std::optional(*earlier) : outcome.revision, before}, *drain->wait);
  } else if (earlier != nullptr) {
    reply(call, admin::render_done(parts_.view(), command, *earlier, true), nullptr);
  } else if (replayed != 0) {
    reply(call, admin::render_made_before(command, replayed), nullptr);
  } else if (revision) {
    reply(call, admin::render_done(parts_.view(), command, *revision),
          only_remembers(*revision) ? nullptr : revision);
  } else {
    reply(call, admin::render_noop(parts_.view(), command), nullptr);
  }
}

// By a later call, so that what it waits for may never come: one that is repeated is answered at
// once.
bool CommandRunner::is_undone(const admin::Drain& drain) const {
  return std::ranges::any_of(parts_.view().servers, [&](const admin::ServerView& server) {
    return is_about(drain, server.key) && server.draining != drain.draining;
  });
}

void CommandRunner::wait(Call call, Made made, Duration time) {
  if (waiting_.size() >= kWaitingMax) {
    reply(call,
          admin::problem(503, "too_many_waiting",
                         "Too many calls are waiting already; call again without wait, or later."),
          made.now());
    return;
  }
  auto waiting = std::make_unique<Waiting>(*this, std::move(call), std::move(made), time);
  Waiting& added = *waiting;
  waiting_.emplace(&added, std::move(waiting));
  added.look();
}

// --- What planning may ask ----------------------------------------------------------------------

routing::Facts CommandRunner::facts() const {
  return {
      .config = *parts_.config,
      .history = parts_.book.history,
      .takes_requests = [this](const routing::ServerKey& server) { return takes_requests(server); },
      .is_safe_to_stop =
          [this](const routing::ServerKey& server) { return is_safe_to_stop(server); }};
}

bool CommandRunner::takes_requests(const routing::ServerKey& key) const {
  for (const routing::SnapshotBackend& backend : parts_.publisher.current()->backends) {
    if (backend.name != key.backend) continue;
    const auto server = std::ranges::find(backend.servers, key, &routing::SnapshotServer::key);
    return server != backend.servers.end() && routing::may_serve(*server, {});
  }
  return false;
}

bool CommandRunner::is_safe_to_stop(const routing::ServerKey& key) const {
  const admin::View view = parts_.view();
  const admin::ServerView* server = view.server(key);
  return server != nullptr && server->safe_to_stop;
}

}  // namespace sluice::proxy

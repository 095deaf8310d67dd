#include "proxy/control/change_queue.h"

#include "proxy/control/event_log.h"

namespace sluice::proxy {

ChangeQueue::ChangeQueue(routing::Book& book, LedgerStore& ledger, Background& background,
                         Publisher& publisher, Publish publish)
    : book_(book),
      ledger_(ledger),
      background_(background),
      publisher_(publisher),
      publish_(std::move(publish)) {
  take_health();
}

void ChangeQueue::submit(Plan plan, Then then, Duration adopt_timeout,
                         BeforePublish before_publish) {
  if (waiting_.size() >= kWaitingMax) {
    Outcome outcome;
    outcome.ledger_error = "too many changes are waiting for the ledger; try again later";
    then(outcome);
    return;
  }
  auto told = [this, then = std::move(then)](const Outcome& outcome) mutable {
    if (observer_) observer_(outcome);
    then(outcome);
  };
  waiting_.push_back({std::move(plan), std::move(told), adopt_timeout, std::move(before_publish)});
  next();
}

void ChangeQueue::next() {
  while (!busy_ && !waiting_.empty()) {
    Change change = std::move(waiting_.front());
    waiting_.pop_front();
    auto planned = change.plan(book_.state);
    if (!planned) {
      Outcome outcome;
      outcome.refused = std::move(planned.error());
      change.then(outcome);
    } else if (*planned) {
      write(std::move(change), std::move(**planned));
    } else {
      publish(std::move(change), {});
    }
  }
}

void ChangeQueue::write(Change change, routing::Revision revision) {
  struct Job {
    Change change;
    routing::Revision revision;
    std::expected<void, std::string> written;
    Duration took{};
  };
  busy_ = true;
  auto job = std::make_shared<Job>(std::move(change), std::move(revision));
  background_.run(
      [this, job] {
        const auto began = std::chrono::steady_clock::now();
        job->written = ledger_.append(job->revision);
        job->took = std::chrono::steady_clock::now() - began;
      },
      [this, job] {
        busy_ = false;
        ++stats_.writes;
        stats_.write_time += job->took;
        take_health();
        if (job->written) {
          book_.add(job->revision);
          if (on_changed_) on_changed_(job->revision);
          publish(std::move(job->change), std::move(job->revision));
        } else {
          ++stats_.failures;
          log_event(Level::error, "ledger_write_failed", {{"reason", job->written.error()}});
          Outcome outcome;
          outcome.ledger_error = job->written.error();
          job->change.then(outcome);
        }
        if (ledger_.revision_count() > 2 * kept_) compact();
        next();
      });
}

// Before the next change, on the ledger's thread; nobody's answer waits for it but those behind.
void ChangeQueue::compact() {
  busy_ = true;
  auto error = std::make_shared<std::string>();
  background_.run(
      [this, error, kept = kept_] {
        if (auto done = ledger_.compact(kept); !done) *error = done.error();
      },
      [this, error] {
        busy_ = false;
        take_health();
        if (error->empty()) {
          log_event(Level::info, "ledger_compacted", {{"bytes", std::to_string(stats_.bytes)}});
        } else {
          log_event(Level::error, "ledger_not_compacted", {{"reason", *error}});
        }
        next();
      });
}

// Only while the ledger's thread has nothing to do with it.
void ChangeQueue::take_health() {
  stats_.bytes = ledger_.bytes();
  stats_.good_copies = ledger_.good_copies();
  std::string alarm = ledger_.alarm();
  if (alarm == stats_.alarm) return;
  if (alarm.empty()) {
    log_event(Level::info, "ledger_whole_again", {{"copies", std::to_string(stats_.good_copies)}});
  } else {
    log_event(Level::error, "ledger_alarm",
              {{"reason", alarm}, {"good_copies", std::to_string(stats_.good_copies)}});
  }
  stats_.alarm = std::move(alarm);
}

void ChangeQueue::publish(Change change, std::optional<routing::Revision> revision) {
  const bool asked =
      change.before_publish && change.before_publish(revision ? &*revision : nullptr);
  if (revision || asked) publish_();
  publisher_.when_adopted(change.adopt_timeout,
                          [then = std::move(change.then), revision = std::move(revision)](
                              const std::vector<std::size_t>& behind) mutable {
                            Outcome outcome;
                            outcome.revision = std::move(revision);
                            outcome.behind = behind;
                            then(outcome);
                          });
}

}  // namespace sluice::proxy

#include "proxy/control/change_queue.h"

#include "proxy/control/event_log.h"

namespace sluice::proxy {

ChangeQueue::ChangeQueue(routing::Book& book, LedgerFile& ledger, Background& background,
                         Publisher& publisher, Publish publish)
    : book_(book),
      ledger_(ledger),
      background_(background),
      publisher_(publisher),
      publish_(std::move(publish)) {
  stats_.bytes = ledger.bytes();
}

void ChangeQueue::submit(Plan plan, Then then, Duration adopt_timeout,
                         BeforePublish before_publish) {
  if (waiting_.size() >= kWaitingMax) {
    Outcome outcome;
    outcome.ledger_error = "too many changes are waiting for the ledger; try again later";
    then(outcome);
    return;
  }
  waiting_.push_back({std::move(plan), std::move(then), adopt_timeout, std::move(before_publish)});
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
        stats_.bytes = ledger_.bytes();
        if (job->written) {
          book_.add(job->revision);
          publish(std::move(job->change), std::move(job->revision));
        } else {
          ++stats_.failures;
          log_event(Level::error, "ledger_write_failed", {{"reason", job->written.error()}});
          Outcome outcome;
          outcome.ledger_error = job->written.error();
          job->change.then(outcome);
        }
        next();
      });
}

void ChangeQueue::publish(Change change, std::optional<routing::Revision> revision) {
  const bool asked = change.before_publish && change.before_publish(revision.has_value());
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

#include "proxy/data/reactor.h"

#include <cerrno>

namespace sluice::proxy {

using admin::Count;

Acceptor::Acceptor(io::Loop& loop, io::FileDescriptor listening,
                   std::shared_ptr<const ConnectionSettings> settings, OnAccepted on_accepted)
    : loop_(loop),
      listening_(listening.release()),
      settings_(std::move(settings)),
      on_accepted_(std::move(on_accepted)),
      retry_(io::Timer::calling<&Acceptor::arm>(this)) {
  loop_.attach();
}

void Acceptor::arm() {
  submit(io::OpCode::accept, listening_, kAccept);
}

void Acceptor::close() {
  closing_ = true;
  retry_.cancel();
  submit(io::OpCode::cancel, listening_, kCancel);
}

void Acceptor::submit(io::OpCode code, int fd, Tag tag) {
  ++in_flight_;
  io::Submission submission{.code = code};
  submission.fd = fd;
  submission.tag = tag;
  submission.target = this;
  submission.cancel_whole_fd = true;
  loop_.ring().submit(submission);
}

void Acceptor::on_completion(const io::Completion& completion) {
  if (!completion.more) --in_flight_;
  if (completion.tag == kClose) {
    loop_.detach();
    loop_.retire(std::unique_ptr<io::Retired>(this));
    return;
  }
  // What was accepted before the end is still served.
  if (completion.tag == kAccept && completion.result >= 0 &&
      !on_accepted_(completion.result, settings_)) {
    submit(io::OpCode::close, completion.result, kCloseUnwanted);
  }
  if (closing_) {
    if (in_flight_ > 0) return;
    // Closing would reset what the kernel has let in already.
    for (int fd = loop_.ring().accept_now(listening_); fd >= 0;
         fd = loop_.ring().accept_now(listening_)) {
      if (!on_accepted_(fd, settings_)) submit(io::OpCode::close, fd, kCloseUnwanted);
    }
    if (in_flight_ == 0) submit(io::OpCode::close, listening_, kClose);
    return;
  }
  if (completion.tag != kAccept || completion.more) return;
  const bool exhausted = completion.result == -EMFILE || completion.result == -ENFILE ||
                         completion.result == -ENOBUFS || completion.result == -ENOMEM;
  if (exhausted) {
    loop_.timers().arm(retry_, loop_.now() + kRetryTime);
  } else {
    arm();
  }
}

Reactor::Reactor(std::unique_ptr<io::Ring> ring, admin::WorkerCounters& counters,
                 ConnectionCount& connections, std::shared_ptr<const conf::Config> config)
    : connections_(connections),
      loop_(std::move(ring)),
      counters_(counters),
      config_(std::move(config)) {
}

void Reactor::run() {
  while (!loop_.stopping()) {
    loop_.turn();
    counters_.add(Count::loop_turns);
  }
}

void Reactor::listen(const std::string& listener, io::FileDescriptor listening,
                     std::shared_ptr<const ConnectionSettings> settings, Service& service) {
  const auto on_accepted = [this, &service](int fd, const auto& current) {
    return accepted(fd, current, service);
  };
  auto acceptor =
      std::make_unique<Acceptor>(loop_, std::move(listening), std::move(settings), on_accepted);
  acceptor->start();
  acceptors_[listener] = acceptor.release();  // frees itself after close()
}

void Reactor::update_listener(const std::string& listener,
                              std::shared_ptr<const ConnectionSettings> settings) {
  const auto found = acceptors_.find(listener);
  if (found != acceptors_.end()) found->second->set_settings(std::move(settings));
}

void Reactor::stop_listening(const std::string& listener) {
  const auto found = acceptors_.find(listener);
  if (found == acceptors_.end()) return;
  found->second->close();
  acceptors_.erase(found);
}

bool Reactor::make_room() {
  ClientConnection* const longest_idle = idle_.front();
  if (!longest_idle) return false;
  longest_idle->give_way();
  counters_.add(Count::client_connections_gave_way);
  return true;
}

bool Reactor::accepted(int fd, const std::shared_ptr<const ConnectionSettings>& settings,
                       Service& service) {
  if (cut_) return false;
  const std::uint64_t open = connections_.open.fetch_add(1, std::memory_order_relaxed);
  if (open >= limits().client_connections && !make_room()) {
    connections_.open.fetch_sub(1, std::memory_order_relaxed);
    counters_.add(Count::limit_client_connections);
    return false;
  }
  ++client_count_;
  auto client = std::make_unique<ClientConnection>(*this, settings, service);
  clients_.push_back(*client);
  client.release()->accept(fd);  // frees itself when closed
  return true;
}

void Reactor::client_closed() {
  --client_count_;
  connections_.open.fetch_sub(1, std::memory_order_relaxed);
}

void Reactor::drain() {
  draining_ = true;
  while (!acceptors_.empty()) stop_listening(acceptors_.begin()->first);
  clients_.for_each([](ClientConnection& client) { client.drain(); });
}

void Reactor::cut_clients() {
  cut_ = true;
  clients_.for_each([](ClientConnection& client) { client.cut(); });
}

void Reactor::join() {
  while (loop_.attached() > 0) loop_.turn();
}

}  // namespace sluice::proxy

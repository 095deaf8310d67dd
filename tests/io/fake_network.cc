#include "tests/io/fake_network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/base/check.h"
#include "tests/io/fake_endpoint.h"
#include "tests/io/fake_ring.h"

namespace sluice::io {
namespace {

// Far from any descriptor that the kernel gives out.
constexpr int kFirstDescriptor = 1'000'000;
constexpr std::uint16_t kFirstPort = 32768;
// 2026-01-01 00:00:00 UTC.
constexpr WallTime kWallStart{std::chrono::seconds(1767225600)};
constexpr TimePoint kStart{std::chrono::hours(1)};

}  // namespace

FaultPlan FaultPlan::none(std::uint64_t seed) {
  return {.seed = seed};
}

FaultPlan FaultPlan::chaos(std::uint64_t seed) {
  // How much of each varies with the seed, so that a set of seeds sees calm and wild runs.
  Chance chance(seed ^ 0x5eed);
  const auto up_to = [&](double most) {
    return most * static_cast<double>(chance.between(0, 100)) / 100;
  };
  FaultPlan plan{.seed = seed};
  plan.pipe_bytes = std::size_t{1} << chance.between(6, 17);
  plan.short_receive = up_to(0.9);
  plan.short_send = up_to(0.9);
  plan.no_buffers = up_to(0.3);
  plan.multishot_end = up_to(0.3);
  plan.late = up_to(0.5);
  plan.cancel_race = up_to(1);
  return plan;
}

FaultPlan FaultPlan::breaking(std::uint64_t seed) {
  FaultPlan plan = chaos(seed);
  plan.reset = 0.01;
  plan.reset_loses_data = 0.5;
  return plan;
}

// SplitMix64.
std::uint64_t Chance::next() {
  std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

std::size_t Chance::between(std::size_t low, std::size_t high) {
  SLUICE_CHECK(low <= high);
  return low + next() % (high - low + 1);
}

bool Chance::happens(double probability) {
  // Nothing is drawn for what never happens: a plan without faults has one outcome per seed.
  return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
}

FakeNetwork::FakeNetwork(const FaultPlan& plan)
    : plan_(plan),
      chance_(plan.seed),
      now_(kStart),
      next_fd_(kFirstDescriptor),
      next_port_(kFirstPort) {
}

FakeNetwork::~FakeNetwork() {
  SLUICE_CHECK(rings_.empty());
}

WallTime FakeNetwork::wall_now() const {
  return kWallStart + (now_ - kStart);
}

int FakeNetwork::add_descriptor(const Descriptor& descriptor) {
  descriptors_.emplace(next_fd_, descriptor);
  return next_fd_++;  // never used again, so that a late use of a closed one is seen
}

const FakeNetwork::Descriptor* FakeNetwork::find(int fd) const {
  const auto found = descriptors_.find(fd);
  return found == descriptors_.end() ? nullptr : &found->second;
}

fake::Endpoint& FakeNetwork::add_endpoint() {
  return *endpoints_.emplace_back(std::make_unique<fake::Endpoint>(*this));
}

fake::Listener& FakeNetwork::add_listener(const Address& address, bool scripted) {
  SLUICE_CHECK(address.family == Address::Family::unix_path || address.port != 0);
  auto& listener = *listeners_.emplace_back(std::make_unique<fake::Listener>());
  listener.address = address;
  listener.scripted = scripted;
  listening_[address].push_back(&listener);
  return listener;
}

int FakeNetwork::listen(const Address& address) {
  return add_descriptor({.listener = &add_listener(address, false)});
}

int FakeNetwork::open_event() {
  return add_descriptor({.endpoint = &add_endpoint(), .is_event = true});
}

void FakeNetwork::signal(int event_fd, std::string_view bytes) {
  const Descriptor* event = find(event_fd);
  SLUICE_CHECK(event != nullptr && event->is_event);
  event->endpoint->inbox.append(bytes);
}

void FakeNetwork::close(int fd) {
  const Descriptor* descriptor = find(fd);
  SLUICE_CHECK(descriptor != nullptr);
  if (descriptor->listener != nullptr) close_listener(*descriptor->listener);
  if (descriptor->endpoint != nullptr) descriptor->endpoint->close();
  descriptors_.erase(fd);
}

void FakeNetwork::close_listener(fake::Listener& listener) {
  std::erase(listening_[listener.address], &listener);
  for (fake::Endpoint* waiting : listener.queue) waiting->reset(ECONNRESET);
  listener.queue.clear();
}

int FakeNetwork::try_connect(fake::Endpoint& client, const Address& address) {
  if (const auto fault = connect_faults_.find(address); fault != connect_faults_.end()) {
    return fault->second;
  }
  const auto candidates = listening_.find(address);
  if (candidates == listening_.end() || candidates->second.empty()) return -ECONNREFUSED;
  fake::Endpoint& server = add_endpoint();
  client.other = &server;
  server.other = &client;
  if (client.local.family == Address::Family::none) {
    client.local = address;  // a made-up port of the same host
    client.local.port = next_port_++;
    if (next_port_ == 0) next_port_ = kFirstPort;
  }
  client.remote = server.local = address;
  server.remote = client.local;
  auto& listeners = candidates->second;
  fake::Listener& taker = *listeners[chance_.between(0, listeners.size() - 1)];
  server.scripted = taker.scripted;
  taker.queue.push_back(&server);
  return 0;
}

Peer FakeNetwork::connect(const Address& address, const Address& from) {
  fake::Endpoint& client = add_endpoint();
  client.scripted = true;
  client.local = from;
  const int result = try_connect(client, address);
  client.connect_error = result == kUnanswered ? ETIMEDOUT : -result;
  return Peer(&client);
}

void FakeNetwork::listen_scripted(const Address& address) {
  add_listener(address, true);
}

void FakeNetwork::stop_listening_scripted(const Address& address) {
  const std::vector<fake::Listener*> listeners = listening_[address];
  for (fake::Listener* listener : listeners) {
    if (listener->scripted) close_listener(*listener);
  }
}

std::optional<Peer> FakeNetwork::accept(const Address& address) {
  for (fake::Listener* listener : listening_[address]) {
    if (!listener->scripted || listener->queue.empty()) continue;
    fake::Endpoint* server = listener->queue.front();
    listener->queue.pop_front();
    return Peer(server);
  }
  return {};
}

void FakeNetwork::fail_connects(const Address& address, int error) {
  if (error == 0) {
    connect_faults_.erase(address);
  } else {
    connect_faults_[address] = -error;
  }
}

void FakeNetwork::ignore_connects(const Address& address, bool ignore) {
  if (ignore) {
    connect_faults_[address] = kUnanswered;
  } else {
    connect_faults_.erase(address);
  }
}

std::string FakeNetwork::describe(int fd) const {
  const Descriptor* descriptor = find(fd);
  std::string text = "descriptor " + std::to_string(fd);
  if (descriptor == nullptr) return text + " (closed)";
  if (descriptor->listener != nullptr) {
    return text + " (listens on " + descriptor->listener->address.to_string() + ")";
  }
  if (descriptor->is_event) return text + " (event)";
  const fake::Endpoint& endpoint = *descriptor->endpoint;
  if (endpoint.other == nullptr) return text + " (not connected)";
  return text + " (" + endpoint.local.to_string() + " to " + endpoint.remote.to_string() + ")";
}

std::string FakeNetwork::check_clean() const {
  std::string left;
  for (const std::string& wrong : misuse_) left += "  broken rule: " + wrong + "\n";
  for (std::size_t index = 0; index < rings_.size(); ++index) {
    for (const std::string& what : rings_[index]->leftovers()) {
      left += "  ring " + std::to_string(index) + ": " + what + "\n";
    }
  }
  for (const auto& [fd, descriptor] : descriptors_) left += "  still open: " + describe(fd) + "\n";
  return left.empty() ? left : "seed " + std::to_string(plan_.seed) + ":\n" + left;
}

// --- fake::Endpoint ---------------------------------------------------------------------------

namespace fake {

std::size_t Endpoint::room() const {
  if (other == nullptr || other->closed || other->broken) return ~std::size_t{0};
  return network.plan().pipe_bytes - std::min(network.plan().pipe_bytes, other->inbox.size());
}

bool Endpoint::can_receive() const {
  return !inbox.empty() || pending_error != 0 || inbox_ended || broken || read_shut;
}

bool Endpoint::can_send() const {
  return other == nullptr || pending_error != 0 || broken || write_shut || room() > 0;
}

int Endpoint::receive(std::string& into, std::size_t bytes_max) {
  if (!inbox.empty()) {
    into = inbox.take(bytes_max);
    if (other != nullptr) other->pump();
    return static_cast<int>(into.size());
  }
  return -std::exchange(pending_error, 0);
}

int Endpoint::send_refusal() {
  if (pending_error != 0) return -std::exchange(pending_error, 0);
  return other == nullptr || broken || write_shut ? -EPIPE : 0;
}

std::size_t Endpoint::send(std::string_view bytes) {
  const std::size_t taken = std::min(bytes.size(), room());
  if (other->closed) {
    be_reset(inbox_ended ? EPIPE : ECONNRESET);
  } else if (!other->broken) {
    other->inbox.append(bytes.substr(0, taken));
    other->pump();
  }
  return taken;
}

void Endpoint::send_end() {
  if (write_shut || broken) return;
  write_shut = true;
  if (other == nullptr) return;
  other->inbox_ended = true;
  other->pump();
}

void Endpoint::reset(int error) {
  if (broken || other == nullptr) return;
  broken = true;
  inbox.clear();
  outbox.clear();
  other->be_reset(other->inbox_ended ? EPIPE : error);
}

void Endpoint::be_reset(int error) {
  if (broken) return;
  broken = true;
  saw_reset = true;
  pending_error = error;
  outbox.clear();
  Chance& chance = network.chance_;
  if (!inbox.empty() && chance.happens(network.plan().reset_loses_data)) {
    inbox.truncate(chance.between(0, inbox.size() - 1));
  }
  pump();
}

void Endpoint::close() {
  if (closed) return;
  closed = true;
  if (reset_when_closed || !inbox.empty()) {
    reset(ECONNRESET);
  } else {
    send_end();
  }
}

void Endpoint::pump() {
  if (!scripted) return;
  if (reading && !inbox.empty()) {
    received += inbox.take(inbox.size());
    if (other != nullptr) other->pump();
  }
  if (reading && inbox_ended && !broken) saw_end = true;
  if (broken || other == nullptr) return;
  // Taken off before it is sent: sending may come back here.
  if (const std::size_t fits = std::min(room(), outbox.size()); fits > 0) send(outbox.take(fits));
  if (broken) return;
  if (!outbox.empty()) return;
  if (close_wanted) {
    close();
  } else if (finish_wanted) {
    send_end();
  }
}

}  // namespace fake

// --- Peer ---------------------------------------------------------------------------------------

void Peer::write(std::string_view bytes) {
  SLUICE_CHECK(!endpoint_->finish_wanted && !endpoint_->close_wanted);
  if (endpoint_->broken) return;
  endpoint_->outbox.append(bytes);
  endpoint_->pump();
}

std::size_t Peer::unsent() const {
  return endpoint_->outbox.size();
}

const std::string& Peer::received() const {
  return endpoint_->received;
}

std::string Peer::take() {
  return std::exchange(endpoint_->received, {});
}

void Peer::stop_reading() {
  endpoint_->reading = false;
}

void Peer::resume_reading() {
  endpoint_->reading = true;
  endpoint_->pump();
}

void Peer::finish() {
  endpoint_->finish_wanted = true;
  endpoint_->pump();
}

void Peer::close() {
  endpoint_->close_wanted = true;
  endpoint_->pump();
}

void Peer::reset() {
  endpoint_->reset(ECONNRESET);
}

bool Peer::connected() const {
  return endpoint_->other != nullptr;
}

bool Peer::saw_end() const {
  return endpoint_->saw_end;
}

bool Peer::saw_reset() const {
  return endpoint_->saw_reset;
}

int Peer::connect_error() const {
  return endpoint_->connect_error;
}

Address Peer::local() const {
  return endpoint_->local;
}

Address Peer::remote() const {
  return endpoint_->remote;
}

}  // namespace sluice::io

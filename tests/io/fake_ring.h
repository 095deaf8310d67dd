// FakeRing: ring.h over a FakeNetwork, with a seed instead of a kernel.
//
// Deterministic: results, short counts, lateness and the order between operations come from the
// network's FaultPlan. What it keeps is what ring.h promises and no more: order per operation, and
// the bytes of one stream in order. It watches its caller meanwhile (FakeNetwork::check_clean()):
// submissions on closed descriptors, two sends or two receives at once on one descriptor, buffers
// given back that were not lent, closing with operations in flight, bytes changed while being
// sent. Buffers that are not lent are overwritten, and poisoned under ASan.
//
// Single-threaded: several rings of one network take turns on one thread. enter() never sleeps: it
// returns completions, or jumps the network's clock towards the deadline, or returns nothing
// because the test or another ring of the network has something to do first.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/io/ring.h"
#include "tests/io/fake_network.h"

namespace sluice::io {

class FakeRing final : public Ring {
 public:
  explicit FakeRing(FakeNetwork& network, const RingOptions& options = {});
  ~FakeRing() override;

  std::span<const Completion> enter(TimePoint deadline) override;
  std::expected<int, int> open_socket(const Address& destination) override;
  int accept_now(int listening_fd) override;
  void tune_stream(int fd) override;
  void reset_on_close(int fd) override;
  Address peer_address(int fd) override;
  Address local_address(int fd) override;
  TimePoint now() override { return network_.now(); }
  WallTime wall_now() override { return network_.wall_now(); }
  void wake() override { woken_ = true; }

  // Operations without their last completion delivered.
  std::size_t in_flight() const { return operations_.size() + ended_.size(); }
  std::size_t lent_buffers() const;

 private:
  friend class FakeNetwork;

  // One submission that can still complete.
  struct Operation {
    std::uint64_t id = 0;
    Submission submission;
    std::vector<std::string_view> parts;  // send: the caller's bytes
    Address destination;                  // connect
    fake::Endpoint* endpoint = nullptr;
    fake::Listener* listener = nullptr;
  };
  // A completion on its way.
  struct Ready {
    Completion completion;
    std::uint64_t operation_id = 0;
    std::pair<int, OpCode> order_key;  // completions of one key stay in order
    std::uint64_t due_turn = 0;
    std::vector<std::pair<std::string_view, std::string>> sent;  // the caller's bytes, as sent
  };
  struct Buffers {
    std::unique_ptr<std::byte[]> memory;
    std::size_t buffer_bytes = 0;
    std::deque<std::uint16_t> free;
    std::vector<bool> lent;
  };

  void take_back_buffers();
  void accept_submission(const Submission& submission);
  bool watch_submission(const Submission& submission);
  void run_close(const Operation& operation);
  void run_cancel(const Operation& operation);
  bool cancel_one(Operation operation);

  bool can_progress(const Operation& operation) const;
  bool progress_all();
  // Each makes one step and returns whether the operation has ended.
  bool progress(Operation& operation);
  bool progress_accept(Operation& operation);
  bool progress_receive(Operation& operation);
  bool progress_send(Operation& operation);
  bool progress_read(Operation& operation);
  bool progress_connect(Operation& operation);
  void break_by_chance(Operation& operation);

  Ready& complete(const Operation& operation, int result, bool more = false);
  void collect_due();
  void deliver(Ready& ready);

  bool has_work() const;
  void let_time_pass(TimePoint deadline);

  bool in_flight_on(int fd, OpCode code) const;
  std::vector<std::string> leftovers() const;

  FakeNetwork& network_;
  Buffers buffers_[2];
  std::deque<Operation> operations_;          // armed, in the order of submission
  std::map<std::uint64_t, Operation> ended_;  // their last completion is on its way
  std::deque<Ready> ready_;
  std::map<std::pair<int, OpCode>, std::uint64_t> last_due_;
  std::vector<Completion> delivered_;
  std::uint64_t next_operation_id_ = 1;
  std::uint64_t turn_ = 0;
  bool woken_ = false;
  TimePoint waits_until_ = TimePoint::min();  // of the last enter(); min before the first
  std::uint64_t entered_at_ = 0;              // FakeNetwork::enters_ at the last enter()
  // For each other ring: its entered_at_ when this one last waited for it. A ring that hasn't
  // entered since then isn't being driven, and isn't waited for again.
  std::map<const FakeRing*, std::uint64_t> yielded_to_;
};

}  // namespace sluice::io

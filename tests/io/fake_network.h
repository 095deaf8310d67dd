// FakeNetwork: an in-memory network for deterministic tests. The FakeRings of one test
// (fake_ring.h) and the test itself, as a scripted peer, are connected by it; no kernel, no
// threads, no real time.
//
// Owned by the test, made before its rings and destroyed after them. All randomness comes from
// FaultPlan::seed: the same calls give the same run. Everything is single-threaded.
//
//   FakeNetwork network(FaultPlan::chaos(seed));
//   auto ring = std::make_unique<FakeRing>(network);     // hand it to a Loop
//   int listener = network.listen(address);              // a descriptor for OpCode::accept
//   Peer client = network.connect(address);              // a scripted client
//   client.write("GET / HTTP/1.1\r\n\r\n");
//   ... turns of the loop ...
//   EXPECT_EQ(client.received(), "HTTP/1.1 200 OK\r\n...");
//   EXPECT_EQ(network.check_clean(), "");
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/clock.h"

namespace sluice::io {

class FakeRing;

// What goes wrong, and how often: probabilities (0..1) per occasion.
struct FaultPlan {
  std::uint64_t seed = 1;
  std::size_t pipe_bytes = 64 * 1024;  // what each direction of a connection holds at most

  double short_receive = 0;     // a receive takes a random part of what is there
  double short_send = 0;        // a send takes a random part of what would fit
  double no_buffers = 0;        // a multishot receive ends with -ENOBUFS though there are buffers
  double multishot_end = 0;     // a multishot operation ends with a result that is not an error
  double late = 0;              // a completion comes up to kLateTurnsMax turns of its ring late
  double cancel_race = 0;       // a cancelled operation that could still make progress does
  double reset = 0;             // a connection breaks when an operation touches it
  double accept_error = 0;      // an accept ends with -ECONNABORTED or -EMFILE
  double open_error = 0;        // open_socket() fails with EMFILE
  double reset_loses_data = 0;  // a reset discards part of what its receiver had not read yet

  static constexpr unsigned kLateTurnsMax = 4;

  // Nothing goes wrong, nothing is late, everything fits at once.
  static FaultPlan none(std::uint64_t seed = 1);
  // All that a correct program must absorb without the other end noticing: short, late, reordered,
  // out of buffers, ended multishots, cancel races. No connection breaks and no call fails.
  static FaultPlan chaos(std::uint64_t seed);
  // chaos, and connections break.
  static FaultPlan breaking(std::uint64_t seed);
};

// One seeded source of chance; the same numbers with every compiler.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  // Uniform in [low, high].
  std::size_t between(std::size_t low, std::size_t high);
  bool happens(double probability);

 private:
  std::uint64_t state_;
};

namespace fake {
struct Endpoint;
struct Listener;
}  // namespace fake

// A scripted end of a connection. A handle into its FakeNetwork: copies are the same end. By
// default it reads all that arrives at once, so that the other end never finds the window full.
class Peer {
 public:
  Peer() = default;
  explicit Peer(fake::Endpoint* endpoint) : endpoint_(endpoint) {}

  // Never blocks: what the window doesn't take yet follows as it opens.
  void write(std::string_view bytes);
  // Written, and not yet in the other end's window.
  std::size_t unsent() const;
  // All bytes that arrived since the connection began or take() was called.
  const std::string& received() const;
  std::string take();
  // The window fills up and the other end's sends stop; resume_reading() opens it again.
  void stop_reading();
  void resume_reading();
  // Our orderly end once everything is sent; reading goes on.
  void finish();
  // finish(), and nothing more is wanted: what arrives afterwards is answered with a reset.
  void close();
  // Breaks the connection at once, unsent bytes and all.
  void reset();

  bool connected() const;  // the other end has been accepted or taken by a listener's queue
  bool saw_end() const;    // the other end's orderly end, everything before it received
  bool saw_reset() const;  // broken by the other end, or by a fault
  // 0, or why connect() failed: ECONNREFUSED, ETIMEDOUT...
  int connect_error() const;
  Address local() const;
  Address remote() const;
  explicit operator bool() const { return endpoint_ != nullptr; }

 private:
  fake::Endpoint* endpoint_ = nullptr;
};

class FakeNetwork {
 public:
  explicit FakeNetwork(const FaultPlan& plan = {});
  FakeNetwork(const FakeNetwork&) = delete;
  FakeNetwork& operator=(const FakeNetwork&) = delete;
  ~FakeNetwork();

  // --- For the program under test -------------------------------------------------------------
  // A listening descriptor for OpCode::accept. Several on one address share its connections, as
  // with SO_REUSEPORT: each goes to one of them by chance. Closed through a ring or close().
  int listen(const Address& address);
  void close(int fd);
  // A descriptor for OpCode::read that the test feeds with signal(); like an eventfd or signalfd.
  int open_event();
  void signal(int event_fd, std::string_view bytes);

  // --- The scripted side ----------------------------------------------------------------------
  // A client of whatever listens at `address`, from `from` or a made-up address.
  Peer connect(const Address& address, const Address& from = {});
  // Makes `address` a scripted server; its clients wait for accept().
  void listen_scripted(const Address& address);
  void stop_listening_scripted(const Address& address);
  // The next client that has connected, if any.
  std::optional<Peer> accept(const Address& address);
  // From now on connects to `address` fail with this errno (0: no longer), or get no answer.
  void fail_connects(const Address& address, int error);
  void ignore_connects(const Address& address, bool ignore);
  FaultPlan& plan() { return plan_; }
  const FaultPlan& plan() const { return plan_; }

  // --- Time -----------------------------------------------------------------------------------
  // A ring with nothing to do jumps to its deadline; while time is held it returns at once
  // instead, and only advance() moves the clock.
  void hold_time(bool hold) { time_held_ = hold; }
  void advance(Duration by) { now_ += by; }
  TimePoint now() const { return now_; }
  WallTime wall_now() const;

  // --- The verdict ----------------------------------------------------------------------------
  // Empty when every operation was joined, every lent buffer returned, every descriptor closed and
  // no rule of ring.h broken; otherwise what is left or was wrong, with the seed. Call it when the
  // program under test should have let go of everything, its rings still alive. What it can't
  // see: a target or its memory put to another use while an operation is in flight.
  std::string check_clean() const;
  // The broken rules alone, in the order in which they were seen.
  const std::vector<std::string>& misuse() const { return misuse_; }

 private:
  friend class FakeRing;
  friend class Peer;
  friend struct fake::Endpoint;

  struct Descriptor {
    fake::Endpoint* endpoint = nullptr;  // of a stream or an event, else null
    fake::Listener* listener = nullptr;
    bool is_event = false;
  };
  // 0 when connected, a negated errno, or kUnanswered.
  static constexpr int kUnanswered = 1;

  int add_descriptor(const Descriptor& descriptor);
  const Descriptor* find(int fd) const;
  fake::Endpoint& add_endpoint();
  fake::Listener& add_listener(const Address& address, bool scripted);
  int try_connect(fake::Endpoint& client, const Address& address);
  void close_listener(fake::Listener& listener);
  void report_misuse(std::string what) { misuse_.push_back(std::move(what)); }
  std::string describe(int fd) const;

  FaultPlan plan_;
  Chance chance_;
  TimePoint now_;
  bool time_held_ = false;
  int next_fd_;
  std::uint16_t next_port_;
  std::vector<std::unique_ptr<fake::Endpoint>> endpoints_;
  std::vector<std::unique_ptr<fake::Listener>> listeners_;
  std::map<Address, std::vector<fake::Listener*>> listening_;
  std::map<Address, int> connect_faults_;  // a negated errno, or kUnanswered
  std::map<int, Descriptor> descriptors_;
  std::vector<FakeRing*> rings_;
  std::uint64_t enters_ = 0;  // of all rings together
  std::vector<std::string> misuse_;
};

}  // namespace sluice::io

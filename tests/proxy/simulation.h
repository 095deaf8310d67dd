// Simulation: a whole worker on the fake ring, with scripted clients in front of it and scripted
// origins behind, of either HTTP version, one seed for everything. What it checks of every run:
// each response a client takes for whole is exactly the one its request asked for, origins see only
// well-formed requests, and in the end nothing is left in flight, lent or open.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/data/worker.h"
#include "routing/snapshot.h"
#include "routing/state.h"
#include "tests/io/fake_network.h"
#include "tests/io/fake_ring.h"
#include "tests/proxy/h2_peer.h"

namespace sluice::proxy {

inline const Address kSimulatedListener = *Address::parse("10.0.0.1:80");

// Deterministic bytes that differ from place to place, named by a number.
std::string pattern(std::uint64_t name, std::size_t bytes);

// What an origin is asked to answer, coded in the request's target: /KIND/NAME/BYTES, where KIND is
// `length`, `chunked` or `close`.
struct Wish {
  enum class Kind { length, chunked, close };
  Kind kind = Kind::length;
  std::uint64_t name = 0;
  std::size_t bytes = 0;
  std::string target() const;
  static Wish from_target(std::string_view target);
  std::string body() const { return pattern(name, bytes); }
};

// Reads HTTP/1 messages from text, naively and with no code of the proxy's.
struct SimpleMessage {
  std::string start_line;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;
  std::string field(std::string_view name) const;
};
enum class Reading { incomplete, whole, malformed };
// Takes one message off the front of `text` if it is whole. `until_end`: a message without framing
// goes on to the end, which has come if `ended`. `bodiless`: the answer to a HEAD.
Reading read_message(std::string& text, bool is_response, bool ended, bool bodiless,
                     SimpleMessage& message);

class Simulation final : public WorkerObserver {
 public:
  struct Options {
    io::FaultPlan plan;
    std::size_t clients = 4;
    std::size_t requests_per_client = 6;
    std::size_t body_bytes_max = 12'000;
    std::size_t servers = 2;
    // Now and then, by chance.
    bool client_aborts = false;
    bool server_aborts = false;
    // In just that turn, whatever is there; 0: never.
    std::size_t clients_reset_at = 0;         // clients' connections
    std::size_t client_streams_reset_at = 0;  // HTTP/2: what they wait for
    std::size_t servers_reset_at = 0;         // origins' connections
    std::size_t server_streams_reset_at = 0;  // HTTP/2: what they haven't answered whole
    bool pipelining = true;
    double http2_clients = 0;    // the share of clients that speak HTTP/2
    bool http2_servers = false;  // origins do
    std::uint64_t stream_buffer_bytes = 4 * 1024;
  };

  explicit Simulation(const Options& options);
  ~Simulation();

  // To the end, or until `turns_max` shows that something hangs. Returns what went wrong; empty if
  // nothing did.
  std::string run();

  std::size_t responses_whole() const { return responses_whole_; }
  std::size_t responses_cut() const { return responses_cut_; }
  std::size_t requests_at_origins() const { return requests_at_origins_; }
  std::size_t turns() const { return turns_; }  // until all clients were done
  std::uint64_t counted(admin::Count what) const { return counters_.get(what); }

 private:
  // A request that was sent and isn't answered.
  struct Asked {
    Wish wish;
    std::string method;
    std::string body;
  };
  struct Client;
  struct Http2Client {
    H2Peer peer;
    std::size_t abort_at_turn = 0;  // 0: never
    std::map<std::uint32_t, Asked> waiting;
    std::size_t sent = 0;
    std::size_t answered = 0;  // or given up
    std::size_t turns = 0;
    bool done = false;
  };
  struct OriginConnection {
    io::Peer peer;
    std::string input;
    bool answered_last = false;
  };
  struct Http2Origin {
    H2Peer peer;
    std::set<std::uint32_t> answered = {};
    std::uint32_t last = 0x7fff'ffff;  // that is answered
    bool over = false;
  };

  void on_adopted(std::size_t, std::uint64_t) override {}
  void on_connect_failed(const routing::ServerKey&,
                         std::shared_ptr<routing::ServerRuntime>) override {}

  Asked next_request();
  void check_response(const Asked& asked, const SimpleMessage& response);
  // Whether something may go wrong that isn't the proxy's fault.
  bool may_break() const;
  bool server_resets_now();
  bool all_done() const;
  void add_clients();
  void step_client(Client& client);
  void send_next(Client& client);
  void step_http2_client(Http2Client& client);
  void take_answers(Http2Client& client);
  void send_next(Http2Client& client);
  void step_origins();
  void step_http2_origins();
  void answer(Http2Origin& connection, std::uint32_t id);
  void reset_streams(Http2Origin& connection);
  void end_soon(Http2Origin& connection);
  void answer(OriginConnection& connection, const SimpleMessage& request);
  void fail(std::string what);

  Options options_;
  io::FaultPlan plan_;
  io::Chance chance_;
  io::FakeNetwork network_;
  admin::WorkerCounters counters_;
  ConnectionCount connections_;
  std::shared_ptr<const conf::Config> config_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Worker> worker_;
  std::vector<Address> origin_addresses_;
  std::vector<OriginConnection> origins_;
  std::vector<std::unique_ptr<Http2Origin>> http2_origins_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Http2Client>> http2_clients_;
  std::string failure_;
  std::size_t turns_ = 0;
  std::size_t responses_whole_ = 0;
  std::size_t responses_cut_ = 0;
  std::size_t requests_at_origins_ = 0;
};

}  // namespace sluice::proxy

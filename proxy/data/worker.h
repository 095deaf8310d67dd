// Worker: one event loop on one core, with everything it owns: listening sockets, client
// connections, pools to the servers, round robin, counters. It serves by the routing snapshot that
// it adopted last, and shares nothing mutable with other workers but the splits' ticket counters.
//
// The thread belongs to the Server (server.h), which runs run() on it. Calls marked "any thread"
// post; all others are the worker's own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>

#include "proxy/data/access_log.h"
#include "proxy/data/adopted_snapshot.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/reactor.h"
#include "proxy/data/sticky_cookie.h"
#include "proxy/data/stream.h"
#include "routing/picker.h"

namespace sluice::proxy {

// What workers tell control, from their own threads.
class WorkerObserver {
 public:
  // The worker routes by this epoch now, and by no older one from here on.
  virtual void on_adopted(std::size_t worker, std::uint64_t epoch) = 0;
  // A connect to this server was refused or timed out; the server was taken out already.
  virtual void on_connect_failed(const routing::ServerKey& server,
                                 std::shared_ptr<routing::ServerRuntime> runtime) = 0;

 protected:
  ~WorkerObserver() = default;
};

class Worker final : private Service {
 public:
  // Makes the pool of a server that has none yet: make_pool(), or a test's own.
  using MakePool = std::function<std::shared_ptr<BackendPool>(
      ConnectionHost& host, const Address& server, std::shared_ptr<const ServerSettings> settings)>;

  Worker(std::size_t index, Reactor& reactor, std::shared_ptr<AccessLog> access_log,
         WorkerObserver& observer, MakePool make = make_pool);
  ~Worker();

  // --- On the worker's thread ---------------------------------------------------------------
  // `servers`: of the snapshot's backends, in their order.
  void adopt(std::shared_ptr<const routing::Snapshot> snapshot, ServerSettingsTablePtr servers);
  void use_access_log(std::shared_ptr<AccessLog> access_log) {
    access_log_ = std::move(access_log);
  }
  // From any thread: no health path says that it is ready any more, though the drain may begin
  // later.
  void leave() { leaving_.store(true, std::memory_order_release); }
  // Client connections of this worker's listeners are served by forwarding.
  Service& service() { return *this; }
  // What the health paths of listeners answer, until leave().
  void set_ready(bool ready) { ready_ = ready; }
  void use_sticky_keys(std::shared_ptr<const StickyKeyRing> keys) {
    sticky_keys_ = std::move(keys);
  }
  // Lets go of all servers: idle connections end, and the others with their exchanges.
  void close_pools();

  // --- For exchanges ------------------------------------------------------------------------
  io::Loop& loop() { return reactor_.loop(); }
  std::size_t index() const { return index_; }
  const AdoptedSnapshotPtr& snapshot() const { return adopted_; }
  routing::Picker& picker() { return picker_; }
  const conf::Timeouts& timeouts() const { return adopted_->snapshot->config->timeouts; }
  std::string request_id_for(const http::RequestHead& head, const ClientInfo& client);
  // Its views are good until the next call.
  http::ForwardContext forward_context(const http::RequestHead& head, const ClientInfo& client,
                                       const Address& server, std::string_view request_id);
  // Of that file; null: there are none (yet).
  const StickyKeys* sticky_keys(const std::string& key_file) const;
  std::uint64_t random() { return random_(); }
  bool ready() const {
    return ready_ && !leaving_.load(std::memory_order_acquire) && !reactor_.draining();
  }
  void report_connect_failed(const AdoptedSnapshot& adopted, const routing::Choice& choice);
  void count(admin::Count what) { reactor_.counters().add(what); }
  void finish_exchange(const AccessRecord& record);

 private:
  std::unique_ptr<RequestHandler> on_request(http::RequestHead& head, bool complete,
                                             ClientStream& stream) override;
  void on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                  std::string_view reason) override;
  std::string new_request_id();
  void log(const AccessRecord& record);

  const std::size_t index_;
  Reactor& reactor_;
  std::shared_ptr<AccessLog> access_log_;  // null: none
  WorkerObserver& observer_;
  const MakePool make_pool_;
  routing::Picker picker_;
  AdoptedSnapshotPtr adopted_;
  struct Pool {
    std::shared_ptr<BackendPool> pool;
    std::shared_ptr<const ServerSettings> settings;
  };
  using Pools = std::unordered_map<const routing::ServerRuntime*, Pool>;
  // The server's pool so far, if it will do for `settings`, or a new one.
  Pool pool_for(const routing::SnapshotServer& server,
                const std::shared_ptr<const ServerSettings>& settings);

  Pools pools_;  // by server, of the adopted snapshot
  std::shared_ptr<const StickyKeyRing> sticky_keys_;
  std::mt19937_64 random_;
  bool ready_ = false;
  std::atomic<bool> leaving_{false};
  std::string server_text_;  // of forward_context()
  std::uint64_t request_id_prefix_;
  std::uint64_t request_id_next_ = 0;
};

}  // namespace sluice::proxy

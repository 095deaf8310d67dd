// H2Pool: the BackendPool of HTTP/2 servers: one worker's connections to one server, many streams
// on each.
//
// A lease gets a stream of the connection that was full last, so that the others can go idle and
// end; one that isn't set up yet is as good, up to what the server took last. A new connection is
// made when none has room, at most limits.backend_connections.
//
// Owned by the snapshots that name the server and by its own connections, whichever goes last; one
// worker's thread only.
#pragma once

#include <memory>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/h2_backend.h"
#include "proxy/data/server_connect.h"
#include "proxy/data/stream.h"

namespace sluice::proxy {

class H2Pool final : public BackendPool,
                     public std::enable_shared_from_this<H2Pool>,
                     private WaitingRoom::Owner {
 public:
  H2Pool(ConnectionHost& host, const Address& address,
         std::shared_ptr<const ServerSettings> settings)
      : host_(host),
        address_(address),
        settings_(std::move(settings)),
        waiting_(host.loop(), *this) {}
  H2Pool(const H2Pool&) = delete;
  H2Pool& operator=(const H2Pool&) = delete;

  Lease lease(ResponseHandler& handler, const Wish& wish) override;
  bool wait(Waiter& waiter) override;
  void use_settings(std::shared_ptr<const ServerSettings> settings) override;
  void keep_idle(bool keep) override;

  // --- For H2Backend ------------------------------------------------------------------------
  ConnectionHost& host() { return host_; }
  bool keeps_idle() const { return keep_idle_; }
  // Whether it can be leased from may have changed.
  void update(H2Backend& connection);
  void on_closed(H2Backend& connection);
  SavedSessions& saved_sessions() { return saved_sessions_; }
  // Of a connection that was made by `settings`.
  void keep_session(const std::shared_ptr<const ServerSettings>& settings,
                    tls::SavedSession session);
  // For connections from now on.
  const std::shared_ptr<const ServerSettings>& settings() const { return settings_; }
  // What a connection will take at first, as far as is known: what the last one did. Not 0.
  std::size_t streams_expected() const { return streams_expected_; }
  void note_streams_allowed(std::size_t count) { streams_expected_ = count; }

 private:
  bool has_room() const override;
  H2Backend* with_room(Reuse reuse);
  H2Backend* connect();

  ConnectionHost& host_;
  Address address_;
  std::shared_ptr<const ServerSettings> settings_;
  base::IntrusiveList<H2Backend, H2RoomTag> room_;  // full last at the front, new at the back
  base::IntrusiveList<H2Backend, H2ConnectionTag> all_;
  SavedSessions saved_sessions_;
  WaitingRoom waiting_;
  std::size_t streams_expected_ = H2Backend::kStreamsAssumed;
  std::size_t connections_ = 0;
  bool keep_idle_ = true;
};

}  // namespace sluice::proxy

// H1Pool: the BackendPool of HTTP/1.1 servers: one worker's connections to one server: idle
// ones kept for the next exchange, all of them counted and bounded.
//
// Owned by the snapshots that name the server and by its own connections, whichever goes last; one
// worker's thread only.
#pragma once

#include <memory>
#include <string_view>

#include "proxy/base/intrusive_list.h"
#include "proxy/data/backend_pool.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/h1_backend.h"
#include "proxy/data/server_connect.h"
#include "proxy/data/stream.h"

namespace sluice::proxy {

class H1Pool final : public BackendPool,
                     public std::enable_shared_from_this<H1Pool>,
                     private WaitingRoom::Owner {
 public:
  H1Pool(ConnectionHost& host, const Address& address,
         std::shared_ptr<const ServerSettings> settings)
      : host_(host),
        address_(address),
        settings_(std::move(settings)),
        waiting_(host.loop(), *this) {}
  H1Pool(const H1Pool&) = delete;
  H1Pool& operator=(const H1Pool&) = delete;

  // The connection that was used last, or a new one.
  Lease lease(ResponseHandler& handler, const Wish& wish) override;
  bool wait(Waiter& waiter) override;
  void use_settings(std::shared_ptr<const ServerSettings> settings) override;
  void keep_idle(bool keep) override;

  // For H1Backend.
  void on_idle(H1Backend& connection);
  void forget_idle(H1Backend& connection);
  void on_closed(H1Backend& connection);
  // Of a connection that was made by `settings`.
  void keep_session(const std::shared_ptr<const ServerSettings>& settings,
                    tls::SavedSession session);
  ConnectionHost& host() { return host_; }

 private:
  bool has_room() const override;
  void close_oldest();
  void close_idle();

  ConnectionHost& host_;
  Address address_;
  std::shared_ptr<const ServerSettings> settings_;
  base::IntrusiveList<H1Backend, IdleListTag> idle_;  // used last at the front
  SavedSessions saved_sessions_;
  WaitingRoom waiting_;
  std::size_t idle_count_ = 0;
  std::size_t connections_ = 0;
  bool keep_idle_ = true;
};

}  // namespace sluice::proxy

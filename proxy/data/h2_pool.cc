#include "proxy/data/h2_pool.h"

namespace sluice::proxy {

using admin::Count;

H2Pool::Lease H2Pool::lease(ResponseHandler& handler, const Wish& wish) {
  // At the limit one that has been idle is better than none.
  const bool full = connections_ >= host_.limits().backend_connections;
  H2Backend* connection = with_room(full ? Reuse::allowed : wish.reuse);
  if (!connection) {
    if (full) return {.full = true, .refusal = "The server's connection limit is reached."};
    connection = connect();
    if (!connection) {
      return {.refusal = "The proxy has no socket left for another server connection."};
    }
  }
  const Lease lease = connection->lease(handler, wish.tunnel, wish.connect_timeout);
  update(*connection);
  return lease;
}

bool H2Pool::wait(Waiter& waiter) {
  return waiting_.enter(waiter, host_.limits().backend_waiting);
}

bool H2Pool::has_room() const {
  return !room_.empty() || connections_ < host_.limits().backend_connections;
}

// A server's GOAWAY or SETTINGS may have come, of which update() is still to tell.
H2Backend* H2Pool::with_room(Reuse reuse) {
  H2Backend* found = nullptr;
  room_.for_each([&](H2Backend& connection) {
    if (found || !connection.can_lease()) return;
    if (reuse == Reuse::allowed || !connection.has_been_idle()) found = &connection;
  });
  return found;
}

H2Backend* H2Pool::connect() {
  auto connection = std::make_unique<H2Backend>(shared_from_this());
  host_.counters().add(Count::backend_connects);
  if (connection->connect(address_, settings_) != Transport::Failure::none) {
    host_.counters().add(Count::backend_connects_failed);
    return nullptr;
  }
  ++connections_;
  all_.push_back(*connection);
  room_.push_back(*connection);
  return connection.release();  // from here on it frees itself
}

void H2Pool::use_settings(std::shared_ptr<const ServerSettings> settings) {
  if (same_connections(*settings, *settings_)) return;
  settings_ = std::move(settings);
  saved_sessions_.clear();
  all_.for_each([this](H2Backend& connection) {
    update(connection);
    connection.end_if_idle();
  });
}

// A session is resumed by the rules that it was begun with.
void H2Pool::keep_session(const std::shared_ptr<const ServerSettings>& settings,
                          tls::SavedSession session) {
  if (settings == settings_) saved_sessions_.keep(std::move(session));
}

void H2Pool::keep_idle(bool keep) {
  keep_idle_ = keep;
  if (keep) return;
  all_.for_each([](H2Backend& connection) { connection.end_if_idle(); });
}

void H2Pool::update(H2Backend& connection) {
  auto& node = static_cast<base::ListNode<H2RoomTag>&>(connection);
  if (!connection.can_lease()) {
    node.unlink();
  } else if (!node.linked()) {
    room_.push_front(connection);
  }
  waiting_.admit();
}

void H2Pool::on_closed(H2Backend& connection) {
  static_cast<base::ListNode<H2ConnectionTag>&>(connection).unlink();
  --connections_;
  waiting_.admit();
  if (!connection.connect_failed()) host_.counters().add(Count::backend_connections_closed);
}

}  // namespace sluice::proxy

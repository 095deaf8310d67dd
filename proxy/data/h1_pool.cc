#include "proxy/data/h1_pool.h"

#include "proxy/data/server_connect.h"
#include "proxy/http/proxy_protocol.h"

namespace sluice::proxy {

using admin::Count;

namespace {

std::string proxy_header(conf::ProxyProtocol wanted, const ClientInfo* client) {
  std::string header;
  if (wanted == conf::ProxyProtocol::off) return header;
  const auto version =
      wanted == conf::ProxyProtocol::v1 ? http::ProxyVersion::v1 : http::ProxyVersion::v2;
  if (client) {
    http::write_proxy_header(header, version, client->peer, client->local);
  } else {
    http::write_local_proxy_header(header, version);
  }
  return header;
}

}  // namespace

H1Pool::Lease H1Pool::lease(ResponseHandler& handler, const Wish& wish) {
  // At the limit an idle one is better than none.
  const bool full = connections_ >= host_.limits().backend_connections;
  const bool may_reuse = (wish.reuse == Reuse::allowed || full) &&
                         settings_->send_proxy_protocol == conf::ProxyProtocol::off;
  if (H1Backend* idle = may_reuse ? idle_.pop_front() : nullptr) {
    --idle_count_;
    idle->lease(handler);
    return {.stream = &idle->stream(), .connected = true, .refusal = {}};
  }
  if (full) {
    return {.full = true, .refusal = "The server's connection limit is reached."};
  }
  auto connection = std::make_unique<H1Backend>(shared_from_this());
  host_.counters().add(Count::backend_connects);
  Transport::Connect how = connect_options(address_, *settings_, saved_sessions_);
  how.preamble = proxy_header(settings_->send_proxy_protocol, wish.client);
  if (!connection->connect(address_, settings_, how, wish.connect_timeout, handler)) {
    host_.counters().add(Count::backend_connects_failed);
    return {.refusal = "The proxy has no socket left for another server connection."};
  }
  ++connections_;
  // From here on the connection frees itself.
  return {.stream = &connection.release()->stream(), .connected = false, .refusal = {}};
}

bool H1Pool::wait(Waiter& waiter) {
  return waiting_.enter(waiter, host_.limits().backend_waiting);
}

bool H1Pool::has_room() const {
  return !idle_.empty() || connections_ < host_.limits().backend_connections;
}

void H1Pool::close_oldest() {
  --idle_count_;
  H1Backend* oldest = idle_.back();
  oldest->base::ListNode<IdleListTag>::unlink();
  oldest->close();
}

void H1Pool::use_settings(std::shared_ptr<const ServerSettings> settings) {
  if (same_connections(*settings, *settings_)) return;
  settings_ = std::move(settings);
  saved_sessions_.clear();
  close_idle();
}

// A session is resumed by the rules that it was begun with.
void H1Pool::keep_session(const std::shared_ptr<const ServerSettings>& settings,
                          tls::SavedSession session) {
  if (settings == settings_) saved_sessions_.keep(std::move(session));
}

void H1Pool::keep_idle(bool keep) {
  keep_idle_ = keep;
  if (!keep) close_idle();
}

void H1Pool::close_idle() {
  while (!idle_.empty()) {
    --idle_count_;
    idle_.pop_front()->close();
  }
}

void H1Pool::on_idle(H1Backend& connection) {
  if (!keep_idle_ || connection.settings() != settings_ || host_.draining()) {
    connection.close();
    return;
  }
  idle_.push_front(connection);
  if (++idle_count_ > host_.limits().backend_idle_connections) close_oldest();
  waiting_.admit();
}

void H1Pool::forget_idle(H1Backend& connection) {
  connection.base::ListNode<IdleListTag>::unlink();
  --idle_count_;
}

void H1Pool::on_closed(H1Backend& connection) {
  --connections_;
  waiting_.admit();
  if (!connection.connect_failed()) host_.counters().add(Count::backend_connections_closed);
}

}  // namespace sluice::proxy

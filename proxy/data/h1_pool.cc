#include "proxy/data/h1_pool.h"

namespace sluice::proxy {

using admin::Count;

H1Pool::Lease H1Pool::lease(ResponseHandler& handler, const Wish& wish) {
  if (H1Backend* idle = wish.reuse == Reuse::allowed ? idle_.pop_front() : nullptr) {
    --idle_count_;
    idle->lease(handler);
    return {.stream = &idle->stream(), .connected = true, .refusal = {}};
  }
  if (connections_ >= host_.limits().backend_connections) {
    host_.counters().add(Count::limit_backend_connections);
    return {.refusal = "The server's connection limit is reached."};
  }
  auto connection = std::make_unique<H1Backend>(shared_from_this());
  host_.counters().add(Count::backend_connects);
  if (!connection->connect(address_, wish, handler)) {
    host_.counters().add(Count::backend_connects_failed);
    return {.refusal = "The proxy has no socket left for another server connection."};
  }
  ++connections_;
  // From here on the connection frees itself.
  return {.stream = &connection.release()->stream(), .connected = false, .refusal = {}};
}

void H1Pool::keep_idle(bool keep) {
  keep_idle_ = keep;
  while (!keep && !idle_.empty()) {
    --idle_count_;
    idle_.pop_front()->close();
  }
}

void H1Pool::on_idle(H1Backend& connection) {
  if (!keep_idle_ || host_.draining()) {
    connection.close();
    return;
  }
  idle_.push_front(connection);
  if (++idle_count_ > host_.limits().backend_idle_connections) {
    --idle_count_;
    H1Backend* oldest = idle_.back();
    oldest->base::ListNode<IdleListTag>::unlink();
    oldest->close();
  }
}

void H1Pool::forget_idle(H1Backend& connection) {
  connection.base::ListNode<IdleListTag>::unlink();
  --idle_count_;
}

void H1Pool::on_closed(H1Backend&) {
  --connections_;
  host_.counters().add(Count::backend_connections_closed);
}

}  // namespace sluice::proxy

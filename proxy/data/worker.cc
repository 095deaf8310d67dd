#include "proxy/data/worker.h"

#include <fmt/format.h>
#include <sys/random.h>

#include "proxy/data/exchange.h"

namespace sluice::proxy {

using admin::Count;

namespace {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  SLUICE_CHECK(getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

http::ForwardedFields forwarded_fields(conf::ForwardedFields wanted) {
  switch (wanted) {
    case conf::ForwardedFields::x_forwarded:
      return http::ForwardedFields::x_forwarded;
    case conf::ForwardedFields::forwarded:
      return http::ForwardedFields::forwarded;
    case conf::ForwardedFields::both:
      break;
  }
  return http::ForwardedFields::both;
}

}  // namespace

Worker::Worker(std::size_t index, Reactor& reactor, std::shared_ptr<AccessLog> access_log,
               WorkerObserver& observer, MakePool make)
    : index_(index),
      reactor_(reactor),
      access_log_(std::move(access_log)),
      observer_(observer),
      make_pool_(std::move(make)),
      picker_(index),
      random_(random_bits()),
      request_id_prefix_(random_bits()) {
}

Worker::~Worker() = default;

Worker::Pool Worker::pool_for(const routing::SnapshotServer& server,
                              const std::shared_ptr<const ServerSettings>& settings) {
  const auto found = pools_.find(server.runtime.get());
  if (found == pools_.end() || found->second.settings->protocol != settings->protocol) {
    return {make_pool_(reactor_, server.address, settings), settings};
  }
  if (found->second.settings != settings) found->second.pool->use_settings(settings);
  return {found->second.pool, settings};
}

void Worker::adopt(std::shared_ptr<const routing::Snapshot> snapshot,
                   ServerSettingsTablePtr servers) {
  SLUICE_CHECK(servers->size() == snapshot->backends.size());
  auto adopted = std::make_shared<AdoptedSnapshot>();
  Pools pools;
  for (std::size_t i = 0; i < snapshot->backends.size(); ++i) {
    auto& row = adopted->pools.emplace_back();
    for (const routing::SnapshotServer& server : snapshot->backends[i].servers) {
      Pool pool = pool_for(server, (*servers)[i]);
      pool.pool->keep_idle(!server.draining);
      row.push_back(pool.pool);
      pools.emplace(server.runtime.get(), std::move(pool));
    }
  }
  for (const auto& [runtime, old] : pools_) {
    const auto kept = pools.find(runtime);
    if (kept == pools.end() || kept->second.pool != old.pool) old.pool->keep_idle(false);
  }
  pools_ = std::move(pools);
  picker_.adopt(*snapshot);
  reactor_.use_config(snapshot->config);
  const std::uint64_t epoch = snapshot->epoch;
  adopted->snapshot = std::move(snapshot);
  adopted_ = std::move(adopted);
  observer_.on_adopted(index_, epoch);
}

const StickyKeys* Worker::sticky_keys(const std::string& key_file) const {
  return sticky_keys_ ? keys_of(*sticky_keys_, key_file) : nullptr;
}

void Worker::close_pools() {
  for (const auto& [runtime, pool] : pools_) pool.pool->keep_idle(false);
}

std::unique_ptr<RequestHandler> Worker::on_request(http::RequestHead& head, bool complete,
                                                   ClientStream& stream) {
  auto exchange = std::make_unique<Exchange>(*this, head, complete, stream);
  exchange->start();
  return exchange;
}

void Worker::on_refused(const http::RequestHead& head, const ClientInfo& client, int status,
                        std::string_view reason) {
  AccessRecord record;
  record.time = loop().wall_now();
  record.client = &client;
  record.method = head.method_text;
  record.host = head.authority;
  record.target = head.target;
  record.status = status;
  record.outcome = "refused";
  reactor_.counters().add(admin::count_for_status(status));
  record.error = reason;
  record.until_response = Duration(-1);
  log(record);
}

std::string Worker::new_request_id() {
  return fmt::format("{:016x}-{:02x}-{:x}", request_id_prefix_, index_, request_id_next_++);
}

std::string Worker::request_id_for(const http::RequestHead& head, const ClientInfo& client) {
  if (client.trusted) {
    http::ForwardContext context;
    context.client_trusted = true;
    const std::string_view given = http::effective_request_id(head, context);
    if (!given.empty()) return std::string(given);
  }
  return new_request_id();
}

http::ForwardContext Worker::forward_context(const http::RequestHead& head,
                                             const ClientInfo& client, const Address& server,
                                             std::string_view request_id) {
  http::ForwardContext context;
  context.client_address = client.peer_ip;
  context.client_scheme = client.is_tls ? "https" : "http";
  context.client_trusted = client.trusted;
  context.forwarded = forwarded_fields(client.forwarded);
  context.request_id = request_id;
  if (head.authority.empty()) {
    server_text_ = server.to_string();
    context.default_host = server_text_;
  }
  return context;
}

void Worker::report_connect_failed(const AdoptedSnapshot& adopted, const routing::Choice& choice) {
  const routing::Snapshot& snapshot = *adopted.snapshot;
  const routing::SnapshotServer& server = snapshot.backends[choice.backend].servers[*choice.server];
  // Only a probe brings a server back, so one that nobody probes is not taken out.
  if (!snapshot.config->backends[choice.backend].health) return;
  server.runtime->up.store(false, std::memory_order_relaxed);
  observer_.on_connect_failed(server.key, server.runtime);
}

void Worker::finish_exchange(const AccessRecord& record) {
  auto& counters = reactor_.counters();
  counters.add(record.status >= 100 ? admin::count_for_status(record.status)
                                    : Count::responses_none);
  counters.durations.observe(record.duration);
  log(record);
}

void Worker::log(const AccessRecord& record) {
  if (!access_log_) return;
  const bool written = access_log_->write(index_, record);
  reactor_.counters().add(written ? Count::access_log_written : Count::access_log_dropped);
}

}  // namespace sluice::proxy

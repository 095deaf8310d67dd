#include "proxy/control/listeners.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "proxy/control/event_log.h"
#include "proxy/io/listening_socket.h"

namespace sluice::proxy {
namespace {

// What overflowing names share (WorkerCounters::listeners is fixed in size).
constexpr std::size_t kLastSlot = admin::kListenerSlotsMax - 1;
// Where the admin listeners' connections are counted.
constexpr std::size_t kAdminSlot = 0;
// Admin connections live by the configuration's timeouts but must not outlast a client for long.
constexpr std::size_t kFirstDataSlot = 1;

std::expected<std::string, std::string> read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return std::unexpected(fmt::format("{} {}: {}", what, path, std::strerror(errno)));
  }
  std::string text;
  text.resize(tls::kPemBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

// Mounted secrets are often 0644, so this is advice and not an error.
void warn_if_readable_by_others(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0 || (about.st_mode & S_IROTH) == 0) return;
  log_event(Level::warning, "key_readable_by_others",
            {{"file", path}, {"fix", "chmod 0640 " + path}});
}

}  // namespace

std::expected<std::shared_ptr<const tls::ServerContext>, std::string> load_tls(
    const conf::Listener& listener, std::shared_ptr<tls::TicketKeys> ticket_keys) {
  const auto certificate = read_file(listener.tls->certificate_file, "certificate file");
  if (!certificate) return std::unexpected(certificate.error());
  const auto key = read_file(listener.tls->key_file, "key file");
  if (!key) return std::unexpected(key.error());
  warn_if_readable_by_others(listener.tls->key_file);
  tls::ServerOptions options;
  options.certificate_pem = *certificate;
  options.key_pem = *key;
  options.allow_tls12 = listener.tls->allow_tls12;
  if (listener.http2) options.alpn.emplace_back("h2");
  if (listener.http1) options.alpn.emplace_back("http/1.1");
  options.name = listener.name;
  return tls::ServerContext::make(options, std::move(ticket_keys));
}

std::expected<std::shared_ptr<const tls::ServerContext>, std::string> load_admin_tls(
    const conf::AdminTls& tls, std::shared_ptr<tls::TicketKeys> ticket_keys) {
  const auto certificate = read_file(tls.certificate_file, "certificate file");
  if (!certificate) return std::unexpected(certificate.error());
  const auto key = read_file(tls.key_file, "key file");
  if (!key) return std::unexpected(key.error());
  warn_if_readable_by_others(tls.key_file);
  tls::ServerOptions options;
  options.certificate_pem = *certificate;
  options.key_pem = *key;
  options.alpn = {"http/1.1"};
  options.name = "admin";
  // Every connection is looked at anew: a certificate that has expired, or whose authority was
  // taken out, lets nobody in.
  options.resumption = false;
  if (!tls.client_ca_file.empty()) {
    auto authorities = read_file(tls.client_ca_file, "client CA file");
    if (!authorities) return std::unexpected(authorities.error());
    if (authorities->empty()) {
      return std::unexpected(fmt::format("client CA file {}: empty", tls.client_ca_file));
    }
    options.client_ca_pem = std::move(*authorities);
  }
  return tls::ServerContext::make(options, std::move(ticket_keys));
}

Listeners::Listeners(std::size_t worker_count, std::shared_ptr<tls::TicketKeys> ticket_keys)
    : worker_count_(worker_count), ticket_keys_(std::move(ticket_keys)) {
}

std::vector<std::string> Listeners::slot_names() const {
  std::vector<std::string> names{"admin"};
  for (const auto& [name, slot] : slots_) {
    if (names.size() <= slot) names.resize(slot + 1);
    names[slot] = slot == kLastSlot ? "other" : name;
  }
  return names;
}

std::expected<std::shared_ptr<const ConnectionSettings>, std::string> Listeners::settings_for(
    const conf::Listener& listener, std::size_t slot) const {
  auto settings = std::make_shared<ConnectionSettings>();
  settings->listener = listener.name;
  settings->listener_slot = slot;
  settings->timeouts = listener.timeouts;
  settings->limits = listener.limits;
  settings->trusted_proxies = listener.trusted_proxies;
  settings->proxy_protocol_from = listener.proxy_protocol_from;
  settings->http1 = listener.http1;
  settings->http2 = listener.http2;
  settings->forwarded = listener.forwarded;
  settings->health_path = listener.health_path;
  if (listener.tls) {
    auto context = load_tls(listener, ticket_keys_);
    if (!context) {
      return std::unexpected(fmt::format("listener {}: {}", listener.name, context.error()));
    }
    const std::string warning = (*context)->validity_warning(std::chrono::system_clock::now());
    if (!warning.empty()) {
      log_event(Level::warning, "certificate", {{"listener", listener.name}, {"reason", warning}});
    }
    settings->tls = std::move(*context);
  }
  return settings;
}

std::expected<std::shared_ptr<const ConnectionSettings>, std::string> Listeners::admin_tls_settings(
    const conf::Config& config) const {
  if (!config.admin.tls) return nullptr;
  auto context = load_admin_tls(*config.admin.tls, ticket_keys_);
  if (!context) return std::unexpected(fmt::format("admin.tls: {}", context.error()));
  const std::string warning = (*context)->validity_warning(std::chrono::system_clock::now());
  if (!warning.empty()) {
    log_event(Level::warning, "certificate", {{"listener", "admin"}, {"reason", warning}});
  }
  auto settings = std::make_shared<ConnectionSettings>(*admin_settings(config));
  settings->tls = std::move(*context);
  return settings;
}

std::shared_ptr<const ConnectionSettings> Listeners::admin_settings(
    const conf::Config& config) const {
  auto settings = std::make_shared<ConnectionSettings>();
  settings->listener = "admin";
  settings->listener_slot = kAdminSlot;
  settings->timeouts = config.timeouts;
  settings->limits = config.limits;
  return settings;
}

std::expected<void, std::string> Listeners::open_sockets(Wanted& wanted,
                                                         const conf::Config& config) const {
  io::ListenOptions options;
  options.unix_mode = config.admin.unix_socket_mode;
  const std::size_t count = wanted.kind == Kind::data ? worker_count_ : 1;
  auto sockets = io::open_listening_sockets(wanted.address, count, options);
  if (!sockets) {
    return std::unexpected(fmt::format("listener {}: {}", wanted.name, sockets.error()));
  }
  wanted.sockets = std::move(*sockets);
  wanted.file = io::SocketFile(wanted.address);
  return {};
}

std::expected<Listeners::Prepared, std::vector<std::string>> Listeners::prepare(
    const conf::Config& config) const {
  Prepared prepared;
  std::vector<std::string> errors;
  const auto want = [&](Kind kind, std::string name, const Address& address,
                        std::shared_ptr<const ConnectionSettings> settings) {
    // Port 0 may stand there more than once.
    const auto taken = [&] {
      return std::ranges::any_of(prepared, [&](const Wanted& w) { return w.name == name; });
    };
    while (taken()) name += "'";
    Wanted wanted{kind, std::move(name), address, std::move(settings), {}, {}};
    const auto found = open_.find(wanted.name);
    if (found == open_.end() || found->second.configured != address) {
      if (const auto opened = open_sockets(wanted, config); !opened) {
        errors.push_back(opened.error());
        return;
      }
    }
    prepared.push_back(std::move(wanted));
  };
  std::size_t slots_taken = kFirstDataSlot + slots_.size();
  for (const conf::Listener& listener : config.listeners) {
    const auto known = slots_.find(listener.name);
    const std::size_t slot =
        known != slots_.end() ? known->second : std::min(kLastSlot, slots_taken++);
    auto settings = settings_for(listener, slot);
    if (settings) {
      want(Kind::data, listener.name, listener.address, std::move(*settings));
    } else {
      errors.push_back(settings.error());
    }
  }
  const auto own = admin_settings(config);
  const auto over_tls = admin_tls_settings(config);
  if (!over_tls) errors.push_back(over_tls.error());
  for (const Address& address : config.admin.listen) {
    if (!address.is_loopback() && !over_tls) continue;
    want(Kind::admin, "admin " + address.to_string(), address,
         address.is_loopback() ? own : *over_tls);
  }
  for (const Address& address : config.admin.read_only_listen) {
    want(Kind::read_only, "metrics " + address.to_string(), address, own);
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return prepared;
}

void Listeners::commit(Prepared prepared, WorkerThreads& workers, Reactor& control, Service& admin,
                       Service& read_only) {
  std::map<std::string, Open> before = std::move(open_);
  open_.clear();
  for (Wanted& wanted : prepared) {
    const auto found = before.find(wanted.name);
    const bool stays = wanted.sockets.empty();
    Open open{wanted.kind, wanted.address,
              stays ? found->second.bound : io::bound_address(wanted.sockets.front().get()),
              stays ? std::move(found->second.file) : std::move(wanted.file)};
    if (stays) {
      before.erase(found);
    } else {
      std::string kind = wanted.name.substr(0, wanted.name.find(' '));
      log_event(Level::info, "listening",
                {{"listener", std::move(kind)}, {"address", open.bound.to_string()}});
    }
    if (wanted.kind == Kind::data) {
      slots_.try_emplace(wanted.name, wanted.settings->listener_slot);
      for (std::size_t i = 0; i < workers.size(); ++i) {
        io::FileDescriptor socket;
        if (!stays) socket = std::move(wanted.sockets[i]);
        workers.post(i, [name = wanted.name, settings = wanted.settings, stays,
                         socket = std::move(socket)](Worker& worker, Reactor& reactor) mutable {
          if (stays) {
            reactor.update_listener(name, settings);
          } else {
            reactor.stop_listening(name);
            reactor.listen(name, std::move(socket), settings, worker.service());
          }
        });
      }
    } else if (stays) {
      control.update_listener(wanted.name, wanted.settings);
    } else {
      control.stop_listening(wanted.name);
      control.listen(wanted.name, std::move(wanted.sockets.front()), wanted.settings,
                     wanted.kind == Kind::admin ? admin : read_only);
    }
    open_.emplace(wanted.name, std::move(open));
  }
  for (const auto& [name, open] : before) {
    if (open_.contains(name)) continue;  // moved to another address
    log_event(Level::info, "stopped_listening", {{"listener", name}});
    if (open.kind == Kind::data) {
      workers.post_all([name](Worker&, Reactor& reactor) { reactor.stop_listening(name); });
    } else {
      control.stop_listening(name);
    }
  }
}

}  // namespace sluice::proxy

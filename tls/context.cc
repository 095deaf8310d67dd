#include "tls/context.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>

#include "proxy/base/address.h"
#include "proxy/base/check.h"
#include "tls/errors.h"
#include "tls/pem.h"
#include "tls/settings.h"
#include "tls/ticket_keys.h"

namespace sluice::tls {
namespace {

int ticket_keys_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

TicketKeys& ticket_keys_of(SSL* ssl) {
  return *static_cast<TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ticket_keys_index()));
}

std::size_t ticket_overhead(SSL*) {
  return TicketKeys::kOverhead;
}

int seal_ticket(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t out_size_max,
                const std::uint8_t* in, std::size_t in_size) {
  const auto size = ticket_keys_of(ssl).seal({in, in_size}, {out, out_size_max});
  if (!size) return 0;
  *out_size = *size;
  return 1;
}

ssl_ticket_aead_result_t open_ticket(SSL* ssl, std::uint8_t* out, std::size_t* out_size,
                                     std::size_t out_size_max, const std::uint8_t* in,
                                     std::size_t in_size) {
  const auto size = ticket_keys_of(ssl).open({in, in_size}, {out, out_size_max});
  // A ticket that can't be opened is an old one, not an attack: the handshake goes on in full.
  if (!size) return ssl_ticket_aead_ignore_ticket;
  *out_size = *size;
  return ssl_ticket_aead_success;
}

constexpr SSL_TICKET_AEAD_METHOD kTicketMethod{
    .max_overhead = ticket_overhead, .seal = seal_ticket, .open = open_ticket};

// Takes the first of the protocol names in `list`, if there is one. RFC 7301 section 3.1.
std::string_view take_name(std::string_view& list) {
  if (list.empty()) return {};
  const auto size = static_cast<std::uint8_t>(list.front());
  const std::string_view name = list.substr(1, size);
  list.remove_prefix(1 + name.size());
  return name;
}

int select_alpn(SSL*, const std::uint8_t** out, std::uint8_t* out_size, const std::uint8_t* in,
                unsigned in_size, void* alpn) {
  std::string_view ours = *static_cast<const std::string*>(alpn);
  const std::string_view offered(reinterpret_cast<const char*>(in), in_size);
  for (auto name = take_name(ours); !name.empty(); name = take_name(ours)) {
    std::string_view theirs = offered;
    for (auto offer = take_name(theirs); !offer.empty(); offer = take_name(theirs)) {
      if (offer != name) continue;
      *out = reinterpret_cast<const std::uint8_t*>(offer.data());
      *out_size = static_cast<std::uint8_t>(offer.size());
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A ticket is resumed only where this is the same: listener, leaf certificate and what is asked of
// clients' certificates, so that nobody gets to a listener with what another let them have, and a
// new certificate is looked at.
std::array<std::uint8_t, SHA256_DIGEST_LENGTH> binding(const ServerOptions& options, X509* leaf) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  unsigned size = 0;
  SLUICE_CHECK(X509_digest(leaf, EVP_sha256(), digest.data(), &size) == 1);
  SHA256_CTX hash;
  SHA256_Init(&hash);
  SHA256_Update(&hash, digest.data(), digest.size());
  // The policy first: its length is always the same, whatever the name.
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH + 1> policy{};
  SHA256(reinterpret_cast<const std::uint8_t*>(options.client_ca_pem.data()),
         options.client_ca_pem.size(), policy.data());
  policy.back() = options.client_certificate_required ? 1 : 0;
  SHA256_Update(&hash, policy.data(), policy.size());
  SHA256_Update(&hash, options.name.data(), options.name.size());
  SHA256_Final(digest.data(), &hash);
  return digest;
}

// Asks clients for a certificate where there is somebody to have signed it.
std::expected<void, std::string> ask_clients(SSL_CTX* context, const ServerOptions& options) {
  if (options.client_ca_pem.empty()) return {};
  auto anchors = trust(context, options.client_ca_pem, "client CA");
  if (!anchors) return std::unexpected(std::move(anchors.error()));
  if (anchors->size() > static_cast<std::size_t>(kClientCasMax)) {
    return std::unexpected(
        fmt::format("client CA: {} certificates, more than the {} that can be "
                    "named to every client",
                    anchors->size(), kClientCasMax));
  }
  // Their names, so that a client that has several certificates shows the right one.
  for (const Certificate& anchor : *anchors) {
    SLUICE_CHECK(SSL_CTX_add_client_CA(context, anchor.get()) == 1);
  }
  SSL_CTX_set_verify(
      context,
      SSL_VERIFY_PEER | (options.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nullptr);
  return {};
}

void set_resumption(SSL_CTX* context, const ServerOptions& options, X509* leaf) {
  const auto bound_to = binding(options, leaf);
  SLUICE_CHECK(SSL_CTX_set_session_id_context(context, bound_to.data(), bound_to.size()) == 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_ticket_aead_method(context, &kTicketMethod);
  SSL_CTX_set_num_tickets(context, options.resumption ? kTicketsPerHandshake : 0);
  if (!options.resumption) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  // No longer than the keys surely live.
  SSL_CTX_set_session_psk_dhe_timeout(
      context,
      static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::seconds>(TicketKeys::kRotation).count()));
  SSL_CTX_set_early_data_enabled(context, 0);
}

std::string date(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC",
                     std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
}

}  // namespace

struct ServerContext::Shared {
  std::shared_ptr<TicketKeys> ticket_keys;
  std::string alpn;  // as it goes over the wire
};

ServerContext::ServerContext(SSL_CTX* handle, std::unique_ptr<Shared> shared)
    : handle_(handle), shared_(std::move(shared)) {
}

std::expected<std::shared_ptr<const ServerContext>, std::string> ServerContext::make(
    const ServerOptions& options, std::shared_ptr<TicketKeys> ticket_keys) {
  SLUICE_CHECK(ticket_keys != nullptr);
  auto chain = parse_certificates(options.certificate_pem, "certificate", kChainLengthMax);
  if (!chain) return std::unexpected(std::move(chain.error()));
  auto key = parse_private_key(options.key_pem);
  if (!key) return std::unexpected(std::move(key.error()));
  if (auto pair = check_pair(*chain, *key); !pair) return std::unexpected(std::move(pair.error()));
  auto alpn = encode_alpn(options.alpn);
  if (!alpn) return std::unexpected(std::move(alpn.error()));

  SSL_CTX* handle = SSL_CTX_new(TLS_method());
  SLUICE_CHECK(handle != nullptr);
  std::shared_ptr<ServerContext> context(new ServerContext(
      handle, std::make_unique<Shared>(std::move(ticket_keys), std::move(*alpn))));
  Shared& shared = *context->shared_;
  SLUICE_CHECK(SSL_CTX_set_ex_data(handle, ticket_keys_index(), shared.ticket_keys.get()) == 1);
  set_protocol(handle, options.allow_tls12 ? Versions::tls12_or_tls13 : Versions::tls13);
  SSL_CTX_set_options(handle, SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (auto used = use_identity(handle, *chain, *key); !used) {
    return std::unexpected(std::move(used.error()));
  }
  if (!shared.alpn.empty()) SSL_CTX_set_alpn_select_cb(handle, select_alpn, &shared.alpn);
  X509* leaf = chain->front().get();
  context->names_ = names_of(leaf);
  if (auto asked = ask_clients(handle, options); !asked) {
    return std::unexpected(std::move(asked.error()));
  }
  set_resumption(handle, options, leaf);
  context->starts_ = to_wall_time(X509_get0_notBefore(leaf));
  context->expires_ = to_wall_time(X509_get0_notAfter(leaf));
  ERR_clear_error();
  return context;
}

ServerContext::~ServerContext() {
  SSL_CTX_free(handle_);
}

bool ServerContext::matches(std::string_view host) const {
  if (names_.empty()) return true;
  std::string ip;
  if (host.starts_with('[')) {  // which has more than one spelling
    const auto address = Address::parse(std::string(host) + ":0");
    if (!address) return false;
    ip = address->ip_to_string();
    host = ip;
  }
  const auto dot = host.find('.');
  const auto parent = dot == 0 || dot == host.npos ? std::string_view{} : host.substr(dot);
  return std::ranges::any_of(names_, [&](std::string_view name) {
    if (name == host) return true;
    return !parent.empty() && name.starts_with("*.") && name.substr(1) == parent;
  });
}

std::string ServerContext::validity_warning(WallTime now) const {
  if (now < starts_) {
    return fmt::format("certificate: good only from {} on; clients will refuse it", date(starts_));
  }
  if (now > expires_) {
    return fmt::format("certificate: expired on {}; clients will refuse it", date(expires_));
  }
  return {};
}

}  // namespace sluice::tls

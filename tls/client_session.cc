#include "tls/client_session.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proxy/base/check.h"
#include "tls/engine.h"
#include "tls/errors.h"
#include "tls/pem.h"
#include "tls/settings.h"

namespace sluice::tls {
namespace {

std::expected<void, std::string> show(SSL_CTX* context, const ClientOptions& options) {
  auto chain = parse_certificates(options.certificate_pem, "client certificate", kChainLengthMax);
  if (!chain) return std::unexpected(std::move(chain.error()));
  auto key = parse_private_key(options.key_pem);
  if (!key) return std::unexpected(std::move(key.error()));
  if (auto pair = check_pair(*chain, *key); !pair) return pair;
  return use_identity(context, *chain, *key);
}

// What keeps `ssl` from speaking to `server_name`, if anything.
std::string expect_name(SSL* ssl, const std::string& server_name, bool insecure) {
  if (server_name.empty()) return insecure ? "" : "no server name to check the certificate against";
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, server_name.c_str()) == 1) return {};
  ERR_clear_error();
  const bool usable =
      X509_VERIFY_PARAM_set1_host(param, server_name.data(), server_name.size()) == 1 &&
      SSL_set_tlsext_host_name(ssl, server_name.c_str()) == 1;
  ERR_clear_error();
  return usable ? "" : "server name is neither a DNS name nor an IP address";
}

std::unique_ptr<Engine> make_engine(const ClientContext& context, const std::string& server_name,
                                    SSL_SESSION* saved) {
  SSL* ssl = SSL_new(context.handle());
  SLUICE_CHECK(ssl != nullptr);
  SSL_set_connect_state(ssl);
  std::string obstacle = expect_name(ssl, server_name, context.insecure());
  if (saved != nullptr) SSL_set_session(ssl, saved);
  auto engine = std::make_unique<Engine>(ssl, context.shared_from_this());
  if (!obstacle.empty()) engine->refuse(std::move(obstacle));
  return engine;
}

}  // namespace

std::expected<std::shared_ptr<const ClientContext>, std::string> ClientContext::make(
    const ClientOptions& options) {
  SSL_CTX* handle = SSL_CTX_new(TLS_method());
  SLUICE_CHECK(handle != nullptr);
  std::shared_ptr<ClientContext> context(new ClientContext(handle, options));
  set_protocol(handle, options.versions);
  if (!options.insecure) {
    auto anchors = trust(handle, options.trust_anchors_pem, "trust anchors");
    if (!anchors) return std::unexpected(std::move(anchors.error()));
    SSL_CTX_set_verify(handle, SSL_VERIFY_PEER, nullptr);
  }
  if (!options.certificate_pem.empty() || !options.key_pem.empty()) {
    if (auto shown = show(handle, options); !shown)
      return std::unexpected(std::move(shown.error()));
  }
  const auto alpn = encode_alpn(options.alpn);
  if (!alpn) return std::unexpected(alpn.error());
  // Zero is success here, against the habit of the library.
  SLUICE_CHECK(SSL_CTX_set_alpn_protos(handle, reinterpret_cast<const std::uint8_t*>(alpn->data()),
                                       static_cast<unsigned>(alpn->size())) == 0);
  SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(handle, Engine::on_new_session);
  ERR_clear_error();
  return context;
}

ClientContext::~ClientContext() {
  SSL_CTX_free(handle_);
}

ClientSession::ClientSession(const ClientContext& context, const std::string& server_name,
                             SavedSession saved)
    : Session(make_engine(context, server_name, saved.get())) {
}

ClientSession::Status ClientSession::start(SessionSink& sink) {
  return engine().start(sink);
}

SavedSession ClientSession::take_saved_session() {
  SSL_SESSION* session = engine().take_saved_session();
  return session != nullptr ? SavedSession(session, SSL_SESSION_free) : nullptr;
}

}  // namespace sluice::tls

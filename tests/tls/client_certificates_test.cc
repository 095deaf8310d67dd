// Certificates of clients: who gets in, what is told of them, and what tickets carry on.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/tls/certificates.h"
#include "tests/tls/wire.h"
#include "tls/ticket_keys.h"

namespace sluice::tls::test {
namespace {

bssl::UniquePtr<X509> parse(const std::string& pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

class ClientCertificatesTest : public testing::TestWithParam<Versions> {
 protected:
  ClientCertificatesTest() {
    options_.allow_tls12 = true;
    options_.client_ca_pem = certificate_pem({.key = authority_key_.get(),
                                              .issuer_key = authority_key_.get(),
                                              .subject = "root",
                                              .authority = true,
                                              .named = false});
  }

  std::string signed_pem(CertificateSpec spec) {
    spec.key = client_key_.get();
    if (spec.issuer_key == nullptr) spec.issuer_key = authority_key_.get();
    return certificate_pem(spec);
  }
  // A client that shows this; empty: nothing.
  std::shared_ptr<const ClientContext> client(const std::string& pem) {
    ClientOptions client_side = client_options();
    client_side.versions = GetParam();
    auto context = make_client(client_side);
    if (pem.empty()) return context;
    EXPECT_EQ(SSL_CTX_use_certificate(context->handle(), parse(pem).get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context->handle(), client_key_.get()), 1);
    return context;
  }
  // Whether the server takes the client in. Under TLS 1.3 the client learns of a refusal late.
  bool is_let_in(const std::string& pem) {
    const auto server = make_server(options_, keys_);
    const auto context = client(pem);
    Wire wire(*server, *context);
    wire.shake_hands();
    return wire.server_status == Status::ok && wire.server.handshake_done();
  }

  bssl::UniquePtr<EVP_PKEY> authority_key_ = ec_key(NID_X9_62_prime256v1);
  bssl::UniquePtr<EVP_PKEY> client_key_ = ec_key(NID_X9_62_prime256v1);
  std::shared_ptr<TicketKeys> keys_ = make_ticket_keys();
  ServerOptions options_ = server_options();
};

INSTANTIATE_TEST_SUITE_P(Versions, ClientCertificatesTest,
                         testing::Values(Versions::tls13, Versions::tls12),
                         [](const auto& version) {
                           return version.param == Versions::tls13 ? "Tls13" : "Tls12";
                         });

TEST_P(ClientCertificatesTest, OneThatIsGoodIsTakenAndOneThatIsNotEndsTheHandshake) {
  const auto stranger = ec_key(NID_X9_62_prime256v1);
  const std::string good = signed_pem({});
  const std::string of_a_stranger = signed_pem({.issuer_key = stranger.get()});
  const std::string over = signed_pem({.ends = 1'750'000'000});
  const std::string not_yet = signed_pem({.starts = 3'900'000'000});
  for (const bool required : {false, true}) {
    options_.client_certificate_required = required;
    EXPECT_TRUE(is_let_in(good));
    EXPECT_EQ(is_let_in(""), !required);
    EXPECT_FALSE(is_let_in(of_a_stranger));
    EXPECT_FALSE(is_let_in(over));
    EXPECT_FALSE(is_let_in(not_yet));
  }
}

TEST_P(ClientCertificatesTest, WhoIsNotAskedShowsNothing) {
  options_.client_ca_pem.clear();
  const auto server = make_server(options_, keys_);
  const auto context = client(signed_pem({}));
  Wire wire(*server, *context);
  ASSERT_TRUE(wire.shake_hands());
  EXPECT_FALSE(wire.server.peer_certificate());
}

TEST_P(ClientCertificatesTest, TheServerIsToldTheNamesAndTheEnd) {
  const auto server = make_server(options_, keys_);
  const auto context = client(signed_pem({.subject = "Jo", .ends = 3'000'000'000}));
  Wire wire(*server, *context);
  ASSERT_TRUE(wire.shake_hands());
  const auto shown = wire.server.peer_certificate();
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->names, (std::vector<std::string>{"localhost", "Jo"}));
  EXPECT_EQ(shown->expires, WallTime(std::chrono::seconds(3'000'000'000)));
  Wire nothing(*server, *client(""));
  ASSERT_TRUE(nothing.shake_hands());
  EXPECT_FALSE(nothing.server.peer_certificate());
}

// What a client brings home from one visit.
SavedSession visit(const ServerContext& server, const ClientContext& client, SavedSession saved,
                   bool& resumed, std::vector<std::string>& names) {
  Wire wire(server, client, std::move(saved));
  if (!wire.shake_hands()) return nullptr;
  resumed = wire.server.info().resumed;
  const auto shown = wire.server.peer_certificate();
  names = shown ? shown->names : std::vector<std::string>{};
  wire.server_sends("an answer");
  wire.run();
  return wire.client.take_saved_session();
}

TEST_P(ClientCertificatesTest, AResumedSessionIsStillTheClients) {
  const auto server = make_server(options_, keys_);
  const auto context = client(signed_pem({.subject = "Jo"}));
  bool resumed = true;
  std::vector<std::string> names;
  auto saved = visit(*server, *context, nullptr, resumed, names);
  EXPECT_FALSE(resumed);
  ASSERT_NE(saved, nullptr);
  visit(*server, *context, saved, resumed, names);
  EXPECT_TRUE(resumed);
  EXPECT_EQ(names, (std::vector<std::string>{"localhost", "Jo"}));
}

TEST_P(ClientCertificatesTest, ATicketIsGoodOnlyWhereTheSameIsAskedOfClients) {
  const auto context = client(signed_pem({}));
  bool resumed = true;
  std::vector<std::string> names;
  // A ticket from before anybody was asked gets nobody past the question.
  ServerOptions unasked = options_;
  unasked.client_ca_pem.clear();
  ServerOptions required = options_;
  required.client_certificate_required = true;
  ServerOptions other_authority = options_;
  other_authority.client_ca_pem += options_.client_ca_pem;
  const ServerOptions* const policies[] = {&unasked, &options_, &required, &other_authority};
  for (std::size_t from = 0; from < std::size(policies); ++from) {
    for (std::size_t to = 0; to < std::size(policies); ++to) {
      const auto saved =
          visit(*make_server(*policies[from], keys_), *context, nullptr, resumed, names);
      ASSERT_NE(saved, nullptr);
      visit(*make_server(*policies[to], keys_), *context, saved, resumed, names);
      EXPECT_EQ(resumed, from == to) << from << " " << to;
    }
  }
}

TEST_P(ClientCertificatesTest, WithoutResumptionThereAreNoTickets) {
  options_.resumption = false;
  const auto server = make_server(options_, keys_);
  const auto context = client(signed_pem({}));
  bool resumed = true;
  std::vector<std::string> names;
  EXPECT_EQ(visit(*server, *context, nullptr, resumed, names), nullptr);
  // Nor are those of others taken.
  options_.resumption = true;
  const auto saved = visit(*make_server(options_, keys_), *context, nullptr, resumed, names);
  ASSERT_NE(saved, nullptr);
  visit(*server, *context, saved, resumed, names);
  EXPECT_FALSE(resumed);
}

TEST(ClientCertificates, AuthoritiesThatCannotBeReadAreAnErrorThatSaysSo) {
  ServerOptions options = server_options();
  options.client_ca_pem = "no PEM";
  const auto made = ServerContext::make(options, make_ticket_keys());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), "client CA: no PEM block `-----BEGIN CERTIFICATE-----` in it");
}

}  // namespace
}  // namespace sluice::tls::test

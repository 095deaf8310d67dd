#include "tls/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/tls/certificates.h"
#include "tests/tls/wire.h"
#include "tls/versions.h"

namespace sluice::tls::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(const std::string& certificate_text, const std::string& key_text,
                     std::vector<std::string> alpn = {}) {
  const auto made = ServerContext::make({.certificate_pem = certificate_text,
                                         .key_pem = key_text,
                                         .alpn = std::move(alpn),
                                         .name = "public"},
                                        make_ticket_keys());
  EXPECT_EQ(ERR_peek_error(), 0U);
  return made ? "" : made.error();
}

// Serves with `chain` and `key`; a client that trusts `anchors` must be content.
void expect_served(const std::string& chain, const std::string& key, const std::string& anchors) {
  const auto server = ServerContext::make(
      {.certificate_pem = chain, .key_pem = key, .name = "public"}, make_ticket_keys());
  ASSERT_TRUE(server.has_value()) << server.error();
  Wire wire(**server, *make_client({.trust_anchors_pem = anchors}));
  EXPECT_TRUE(wire.shake_hands()) << wire.client.failure() << ", " << wire.server.failure();
}

TEST(ContextTest, EveryPartThatIsWrongIsNamed) {
  const SelfSigned good = certificate();
  const SelfSigned other = make_self_signed({"localhost"}, 30);
  const std::string garbage(1'000, 'g');
  std::string broken_certificate = good.certificate_pem;
  broken_certificate[60] = broken_certificate[60] == 'A' ? 'B' : 'A';
  broken_certificate[61] = '!';
  std::string not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  std::string long_chain;
  for (int i = 0; i <= kChainLengthMax; ++i) long_chain += good.certificate_pem;

  const auto rsa = rsa_key(2048);
  const auto short_rsa = rsa_key(1024);
  const auto p224 = ec_key(NID_secp224r1);

  const struct {
    const char* what;
    std::string certificate;
    std::string key;
    std::string error;
  } cases[] = {
      {"nothing", "", good.key_pem, "certificate: empty"},
      {"no key", good.certificate_pem, "", "key: empty"},
      {"garbage", garbage, good.key_pem, "certificate: no PEM block"},
      {"garbage key", good.certificate_pem, garbage, "key: no PEM block"},
      {"swapped", good.key_pem, good.certificate_pem, "certificate: no PEM block"},
      {"a key that is a certificate", good.certificate_pem, good.certificate_pem,
       "key: no PEM block"},
      {"bad base64", broken_certificate, good.key_pem,
       "certificate: number 1 in the PEM text can't be read"},
      {"no certificate inside", not_der, good.key_pem,
       "certificate: number 1 in the PEM text can't be read"},
      {"a bad second", good.certificate_pem + not_der, good.key_pem,
       "certificate: number 2 in the PEM text can't be read"},
      {"cut short", good.certificate_pem.substr(0, 200), good.key_pem, "certificate: "},
      {"key cut short", good.certificate_pem, good.key_pem.substr(0, 100), "key: "},
      {"too many", long_chain, good.key_pem, "certificate: more than 10 certificates"},
      {"too much", std::string(kPemBytesMax + 1, 'x'), good.key_pem, "certificate: "},
      {"mismatch", good.certificate_pem, other.key_pem, "key: does not belong to the certificate"},
      {"mismatch in kind", good.certificate_pem, pkcs8_pem(rsa.get()),
       "key: does not belong to the certificate"},
      {"wrong order", other.certificate_pem + good.certificate_pem, good.key_pem,
       "certificate: number 2 of the chain is the one that the key belongs to; put it first"},
      {"encrypted", good.certificate_pem, encrypted_pkcs8_pem(rsa.get()), "key: encrypted"},
      {"short RSA", good.certificate_pem, pkcs8_pem(short_rsa.get()),
       "key: RSA with 1024 bits is too short"},
      {"odd curve", good.certificate_pem, pkcs8_pem(p224.get()), "key: its elliptic curve"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_THAT(error_of(c.certificate, c.key), StartsWith(c.error));
  }
  EXPECT_EQ(error_of(good.certificate_pem, good.key_pem), "");
}

TEST(ContextTest, NoErrorShowsTheKey) {
  const std::string key = certificate().key_pem;
  const std::string body = key.substr(40, 40);
  for (std::size_t i = 28; i + 26 < key.size(); i += 7) {
    std::string altered = key;
    altered[i] ^= 2;
    EXPECT_THAT(error_of(certificate().certificate_pem, altered),
                testing::Not(HasSubstr(body.substr(0, 8))));
  }
}

TEST(ContextTest, ProtocolNamesHaveOneTo255Bytes) {
  const SelfSigned& good = certificate();
  EXPECT_THAT(error_of(good.certificate_pem, good.key_pem, {"h2", ""}), StartsWith("alpn: "));
  EXPECT_THAT(error_of(good.certificate_pem, good.key_pem, {std::string(256, 'p')}),
              StartsWith("alpn: "));
  EXPECT_EQ(error_of(good.certificate_pem, good.key_pem, {std::string(255, 'p')}), "");
}

TEST(ContextTest, EveryCommonKindAndFormOfKeyServes) {
  const auto p256 = ec_key(NID_X9_62_prime256v1);
  const auto p384 = ec_key(NID_secp384r1);
  const auto rsa = rsa_key(2048);
  const struct {
    const char* what;
    EVP_PKEY* key;
    std::string pem;
  } cases[] = {
      {"P-256, PKCS#8", p256.get(), pkcs8_pem(p256.get())},
      {"P-256, EC", p256.get(), ec_pem(p256.get())},
      {"P-256, EC after its parameters", p256.get(),
       "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" +
           ec_pem(p256.get())},
      {"P-384", p384.get(), pkcs8_pem(p384.get())},
      {"RSA, PKCS#8", rsa.get(), pkcs8_pem(rsa.get())},
      {"RSA, RSA", rsa.get(), rsa_pem(rsa.get())},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const std::string own = certificate_pem({.key = c.key, .issuer_key = c.key});
    expect_served(own, c.pem, own);
    expect_served(own + c.pem, own + c.pem, own);  // both in one file
  }
  const auto ed25519 = ed25519_key();
  EXPECT_EQ(error_of(certificate_pem({.key = ed25519.get(), .issuer_key = ed25519.get()}),
                     pkcs8_pem(ed25519.get())),
            "");
}

TEST(ContextTest, TheWholeChainIsServed) {
  const auto root = ec_key(NID_X9_62_prime256v1);
  const auto middle = ec_key(NID_X9_62_prime256v1);
  const auto leaf = ec_key(NID_X9_62_prime256v1);
  const std::string root_pem = certificate_pem(
      {.key = root.get(), .issuer_key = root.get(), .subject = "root", .authority = true});
  const std::string middle_pem = certificate_pem(
      {.key = middle.get(), .issuer_key = root.get(), .subject = "middle", .authority = true});
  const std::string leaf_pem =
      certificate_pem({.key = leaf.get(), .issuer_key = middle.get(), .issuer = "middle"});
  expect_served(leaf_pem + middle_pem, pkcs8_pem(leaf.get()), root_pem);
  expect_served(leaf_pem, pkcs8_pem(leaf.get()), middle_pem);

  Wire without_middle(
      *make_server({.certificate_pem = leaf_pem, .key_pem = pkcs8_pem(leaf.get()), .name = "x"}),
      *make_client({.trust_anchors_pem = root_pem}));
  EXPECT_FALSE(without_middle.shake_hands());
}

TEST(ContextTest, DatesAreWarnedOfAndNotRefused) {
  using std::chrono::seconds;
  const auto key = ec_key(NID_X9_62_prime256v1);
  const auto server = make_server({.certificate_pem = certificate_pem({.key = key.get(),
                                                                       .issuer_key = key.get(),
                                                                       .starts = 1'600'000'000,
                                                                       .ends = 1'700'000'000}),
                                   .key_pem = pkcs8_pem(key.get()),
                                   .name = "public"});
  EXPECT_EQ(server->expires(), WallTime(seconds(1'700'000'000)));
  EXPECT_EQ(server->validity_warning(WallTime(seconds(1'650'000'000))), "");
  EXPECT_EQ(server->validity_warning(WallTime(seconds(1'500'000'000))),
            "certificate: good only from 2020-09-13 12:26 UTC on; clients will refuse it");
  EXPECT_EQ(server->validity_warning(WallTime(seconds(1'800'000'000))),
            "certificate: expired on 2023-11-14 22:13 UTC; clients will refuse it");
}

TEST(ContextTest, AnEndBeyondWhatWallTimeCanSayIsItsLast) {
  const auto key = ec_key(NID_X9_62_prime256v1);
  constexpr std::int64_t kEndOf9999 = 253'402'300'799;
  const auto server =
      make_server({.certificate_pem = certificate_pem(
                       {.key = key.get(), .issuer_key = key.get(), .ends = kEndOf9999}),
                   .key_pem = pkcs8_pem(key.get()),
                   .name = "public"});
  EXPECT_EQ(server->expires(), WallTime::max());
}

TEST(ContextTest, SelfSignedNeedsNoMoreThanItselfAsAnchor) {
  const SelfSigned one = make_self_signed({"app.test", "10.0.0.1"}, 7);
  expect_served(certificate().certificate_pem, certificate().key_pem,
                certificate().certificate_pem);
  const auto server = make_server(
      {.certificate_pem = one.certificate_pem, .key_pem = one.key_pem, .name = "public"});
  const auto client = make_client({.trust_anchors_pem = one.certificate_pem});
  for (const auto& [name, good] : {std::pair{"app.test", true},
                                   {"10.0.0.1", true},
                                   {"localhost", false},
                                   {"10.0.0.2", false}}) {
    Wire wire(*server, *client, nullptr, name);
    EXPECT_EQ(wire.shake_hands(), good) << name << ": " << wire.client.failure();
  }
  const WallTime now = std::chrono::system_clock::now();
  EXPECT_GT(server->expires(), now + std::chrono::days(6));
  EXPECT_LT(server->expires(), now + std::chrono::days(8));
  EXPECT_EQ(server->validity_warning(now), "");
  EXPECT_NE(make_self_signed({"app.test"}, 7).certificate_pem, one.certificate_pem);
}

TEST(ContextTest, ALongNameStillMakesACertificate) {
  const std::string name = std::string(60, 'a') + "." + std::string(60, 'b') + ".test";
  const SelfSigned made = make_self_signed({name}, 1);
  Wire wire(
      *make_server({.certificate_pem = made.certificate_pem, .key_pem = made.key_pem, .name = "x"}),
      *make_client({.trust_anchors_pem = made.certificate_pem}), nullptr, name);
  EXPECT_TRUE(wire.shake_hands()) << wire.client.failure();
}

TEST(ContextTest, TheCertificateSaysWhichHostsItIsGoodFor) {
  const SelfSigned made =
      make_self_signed({"App.test", "*.wild.test", "192.0.2.1", "2001:db8::1"}, 1);
  const auto server =
      make_server({.certificate_pem = made.certificate_pem, .key_pem = made.key_pem, .name = "x"});
  EXPECT_EQ(server->names(),
            (std::vector<std::string>{"app.test", "*.wild.test", "192.0.2.1", "2001:db8::1"}));
  for (const char* good :
       {"app.test", "a.wild.test", "192.0.2.1", "[2001:db8::1]", "[2001:0db8:0:0::1]"}) {
    EXPECT_TRUE(server->matches(good)) << good;
  }
  for (const char* bad :
       {"", "test", "x.app.test", "wild.test", ".wild.test", "a.b.wild.test", "app.test.",
        "192.0.2.2", "[2001:db8::2]", "[", "[app.test]", "*.wild.test.evil"}) {
    EXPECT_FALSE(server->matches(bad)) << bad;
  }
}

TEST(ContextTest, ACertificateWithoutNamesMayBeMeantForAnything) {
  const auto key = ec_key(NID_X9_62_prime256v1);
  CertificateSpec spec{.key = key.get(), .issuer_key = key.get()};
  spec.named = false;
  const auto server = make_server(
      {.certificate_pem = certificate_pem(spec), .key_pem = pkcs8_pem(key.get()), .name = "x"});
  EXPECT_TRUE(server->names().empty());
  EXPECT_TRUE(server->matches("anything.test"));
}

TEST(ContextTest, TheClientNamesItsBadAnchors) {
  const auto made = ClientContext::make({.trust_anchors_pem = "none"});
  ASSERT_FALSE(made.has_value());
  EXPECT_THAT(made.error(), StartsWith("trust anchors: no PEM block"));
  EXPECT_FALSE(ClientContext::make({}).has_value());
  EXPECT_TRUE(ClientContext::make({.insecure = true}).has_value());
}

TEST(ContextTest, TheLibraryIsNamed) {
  EXPECT_THAT(library_version(), StartsWith("BoringSSL (API "));
}

}  // namespace
}  // namespace sluice::tls::test

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <chrono>
#include <string>

#include "tests/tls/wire.h"
#include "tls/ticket_keys.h"

namespace sluice::tls::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

struct Visit {
  bool shook_hands = false;
  bool resumed = false;
  SavedSession saved;
};

// One client's visit: handshake, one answer (which brings the tickets), orderly end.
Visit visit(const ServerContext& server, const ClientContext& client, SavedSession saved) {
  Wire wire(server, client, std::move(saved));
  Visit result;
  result.shook_hands = wire.shake_hands();
  if (!result.shook_hands) return result;
  EXPECT_EQ(wire.server.info().resumed, wire.client.info().resumed);
  result.resumed = wire.server.info().resumed;
  wire.server_sends("an answer");
  wire.run();
  EXPECT_EQ(wire.at_client.plaintext, "an answer");
  result.saved = wire.client.take_saved_session();
  wire.client.close(wire.at_client);
  wire.run();
  EXPECT_EQ(ERR_peek_error(), 0U);
  return result;
}

class ResumptionTest : public testing::TestWithParam<Versions> {
 protected:
  ResumptionTest() {
    options_.allow_tls12 = true;
    ClientOptions client = client_options();
    client.versions = GetParam();
    client_ = make_client(client);
  }

  ServerOptions options_ = server_options();
  std::shared_ptr<TicketKeys> keys_ = make_ticket_keys();
  std::shared_ptr<const ClientContext> client_;
};

INSTANTIATE_TEST_SUITE_P(Versions, ResumptionTest,
                         testing::Values(Versions::tls13, Versions::tls12),
                         [](const auto& version) {
                           return version.param == Versions::tls13 ? "Tls13" : "Tls12";
                         });

TEST_P(ResumptionTest, AnyContextWithTheSameKeysNameAndCertificateResumes) {
  const auto one = make_server(options_, keys_);
  const auto other = make_server(options_, keys_);
  const Visit first = visit(*one, *client_, nullptr);
  ASSERT_TRUE(first.shook_hands);
  EXPECT_FALSE(first.resumed);
  ASSERT_NE(first.saved, nullptr);
  const Visit second = visit(*other, *client_, first.saved);
  ASSERT_TRUE(second.shook_hands);
  EXPECT_TRUE(second.resumed);
}

TEST_P(ResumptionTest, AnotherListenerDoesNotResumeButServes) {
  const Visit first = visit(*make_server(options_, keys_), *client_, nullptr);
  options_.name = "internal";
  const Visit second = visit(*make_server(options_, keys_), *client_, first.saved);
  ASSERT_TRUE(second.shook_hands);
  EXPECT_FALSE(second.resumed);
}

TEST_P(ResumptionTest, ANewCertificateDoesNotResumeButServes) {
  ClientOptions trusting = client_options();
  trusting.versions = GetParam();
  const SelfSigned renewed = make_self_signed({"localhost"}, 30);
  trusting.trust_anchors_pem += renewed.certificate_pem;
  const auto client = make_client(trusting);
  const Visit first = visit(*make_server(options_, keys_), *client, nullptr);
  ASSERT_NE(first.saved, nullptr);
  options_.certificate_pem = renewed.certificate_pem;
  options_.key_pem = renewed.key_pem;
  const Visit second = visit(*make_server(options_, keys_), *client, first.saved);
  ASSERT_TRUE(second.shook_hands);
  EXPECT_FALSE(second.resumed);
}

TEST_P(ResumptionTest, OtherKeysDoNotResumeButServe) {
  const Visit first = visit(*make_server(options_, keys_), *client_, nullptr);
  const Visit second = visit(*make_server(options_, make_ticket_keys()), *client_, first.saved);
  ASSERT_TRUE(second.shook_hands);
  EXPECT_FALSE(second.resumed);
}

TEST_P(ResumptionTest, ATicketSurvivesOneRotationAndNotTwo) {
  const auto server = make_server(options_, keys_);
  const Visit first = visit(*server, *client_, nullptr);
  keys_->rotate();
  EXPECT_TRUE(visit(*server, *client_, first.saved).resumed);
  keys_->rotate();
  const Visit third = visit(*server, *client_, first.saved);
  ASSERT_TRUE(third.shook_hands);
  EXPECT_FALSE(third.resumed);
}

TEST_P(ResumptionTest, TicketsPromiseNoMoreThanTheKeysKeep) {
  const Visit first = visit(*make_server(options_, keys_), *client_, nullptr);
  ASSERT_NE(first.saved, nullptr);
  EXPECT_LE(std::chrono::seconds(SSL_SESSION_get_timeout(first.saved.get())),
            TicketKeys::kRotation);
  EXPECT_EQ(SSL_SESSION_early_data_capable(first.saved.get()), 0);
}

int tickets_seen = 0;

TEST(TicketsTest, TwoAreGivenAtMostAndOnlyWithTheFirstAnswer) {
  const auto client = make_client(client_options());
  SSL_CTX_sess_set_new_cb(client->handle(), [](SSL*, SSL_SESSION*) {
    ++tickets_seen;
    return 0;
  });
  tickets_seen = 0;
  Wire wire(*make_server(server_options()), *client);
  ASSERT_TRUE(wire.shake_hands());
  EXPECT_EQ(tickets_seen, 0);
  wire.server_sends("an answer");
  wire.server_sends("and more");
  wire.run();
  EXPECT_EQ(tickets_seen, kTicketsPerHandshake);
}

class TicketKeysTest : public testing::Test {
 protected:
  std::string seal(std::string_view session) {
    std::string out(session.size() + TicketKeys::kOverhead, '\0');
    const auto size = keys_.seal(view(session), room(out));
    EXPECT_EQ(size, out.size());
    return out;
  }
  std::optional<std::string> open(std::string_view ticket) {
    std::string out(ticket.size(), '\0');
    const auto size = keys_.open(view(ticket), room(out));
    if (!size) return std::nullopt;
    return out.substr(0, *size);
  }
  static std::span<const std::uint8_t> view(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  static std::span<std::uint8_t> room(std::string& text) {
    return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
  }

  TimePoint now_{};
  TicketKeys keys_{[this] { return now_; }};
};

TEST_F(TicketKeysTest, WhatWasSealedOpens) {
  for (const std::string& session : {std::string(), std::string("s"), std::string(5'000, 's')}) {
    EXPECT_EQ(open(seal(session)), session);
  }
  EXPECT_NE(seal("same"), seal("same"));
}

TEST_F(TicketKeysTest, SealingAndOpeningWorkInPlace) {
  std::string bytes = "a session";
  const std::size_t size = bytes.size();
  bytes.resize(size + TicketKeys::kOverhead);
  ASSERT_EQ(keys_.seal(view(bytes).first(size), room(bytes)), bytes.size());
  EXPECT_EQ(bytes.find("session"), bytes.npos);
  ASSERT_EQ(keys_.open(view(bytes), room(bytes)), size);
  EXPECT_EQ(bytes.substr(0, size), "a session");
}

TEST_F(TicketKeysTest, NoAlteredCutOrForeignTicketOpens) {
  const std::string ticket = seal("a session");
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    std::string altered = ticket;
    altered[i] ^= 1;
    EXPECT_EQ(open(altered), std::nullopt) << "byte " << i;
    EXPECT_EQ(open(ticket.substr(0, i)), std::nullopt) << "first " << i;
    EXPECT_EQ(open(ticket.substr(i + 1)), std::nullopt) << "after " << i;
  }
  TicketKeys others([this] { return now_; });
  std::string out(ticket.size(), '\0');
  EXPECT_EQ(others.open(view(ticket), room(out)), std::nullopt);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_F(TicketKeysTest, TooLittleRoomIsNoTicket) {
  std::string out(5 + TicketKeys::kOverhead - 1, '\0');
  EXPECT_EQ(keys_.seal(view("12345"), room(out)), std::nullopt);
  std::string nothing;
  EXPECT_EQ(keys_.open(view(seal("12345")), room(nothing)), std::nullopt);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_F(TicketKeysTest, KeysRotateByTheClockAndGoAfterTwoTurns) {
  now_ += hours(11);
  const std::string ticket = seal("late in the first turn");
  now_ += hours(12) + minutes(59);
  EXPECT_TRUE(open(ticket));  // rotates: the first key is now the previous one
  const std::string second = seal("second turn");
  now_ += hours(12);
  EXPECT_TRUE(open(second));
  EXPECT_FALSE(open(ticket));
}

TEST_F(TicketKeysTest, AKeyIsNotKeptPastItsTimeByNobodyComing) {
  const std::string ticket = seal("before the long night");
  now_ += 2 * TicketKeys::kRotation;
  EXPECT_FALSE(open(ticket));
  EXPECT_TRUE(open(seal("after it")));
}

}  // namespace
}  // namespace sluice::tls::test

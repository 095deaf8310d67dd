// Transport against Transport over a fake network: plain and TLS, opened and accepted.
#include "proxy/data/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/data/reactor.h"
#include "tests/io/fake_ring.h"

namespace sluice::proxy {
namespace {

using testing::HasSubstr;
using Failure = Transport::Failure;

const Address kServer = *Address::parse("10.0.0.2:443");

// One end, which notes what it hears.
class End final : public Transport::Handler {
 public:
  explicit End(io::Loop& loop) : transport(loop, *this) {}

  void on_open() override {
    EXPECT_FALSE(open);
    open = true;
    if (!first_words.empty()) transport.write(as_bytes(first_words));
  }
  void on_data(Bytes bytes) override {
    received += as_text(bytes);
    if (!starts_tls_after || received.size() < *starts_tls_after) return;
    const std::size_t header = *std::exchange(starts_tls_after, std::nullopt);
    const std::string first = received.substr(header);
    received.resize(header);
    transport.start_tls(*tls, as_bytes(first));
  }
  void on_end(bool clean) override { end = clean ? "clean" : "cut"; }
  void on_failure(Failure what) override { failure = what; }
  void on_writable() override {}
  void on_closed() override { closed = true; }

  Transport transport;
  std::string first_words;
  std::optional<std::size_t> starts_tls_after;  // so many bytes
  const tls::ServerContext* tls = nullptr;
  bool open = false;
  bool closed = false;
  std::string received;
  std::string end;
  std::optional<Failure> failure;
};

tls::SelfSigned make_certificate() {
  return tls::make_self_signed({"app.test", "10.0.0.2"}, 1);
}

class TransportTest : public testing::Test {
 protected:
  explicit TransportTest(const io::FaultPlan& plan = {})
      : network_(plan), loop_(std::make_unique<io::FakeRing>(network_)) {
    acceptor_ = new Acceptor(
        loop_, io::FileDescriptor(network_.listen(kServer)), nullptr, [this](int fd, const auto&) {
          server_->transport.accept(fd, accepts_tls_ ? server_context_.get() : nullptr);
          return true;
        });
    acceptor_->start();
    client_ = std::make_unique<End>(loop_);
    server_ = std::make_unique<End>(loop_);
  }
  ~TransportTest() override {
    acceptor_->close();
    end_both();
    EXPECT_EQ(network_.check_clean(), "");
    EXPECT_EQ(loop_.blocks().lent(), 0u);
  }

  void end_both() {
    client_->transport.terminate();
    server_->transport.terminate();
    settle();
  }
  void settle(int turns = 40) {
    for (int i = 0; i < turns; ++i) loop_.turn(loop_.now());
  }
  void serve_tls(const std::string& extra_chain = {}, std::vector<std::string> alpn = {}) {
    tls::ServerOptions options;
    options.certificate_pem = certificate_.certificate_pem + extra_chain;
    options.key_pem = certificate_.key_pem;
    options.alpn = std::move(alpn);
    server_context_ = tls::ServerContext::make(options, tls::make_ticket_keys()).value();
    accepts_tls_ = true;
  }
  Transport::Connect with_tls(const std::string& name = "app.test",
                              std::vector<std::string> alpn = {}) {
    tls::ClientOptions options;
    options.trust_anchors_pem = certificate_.certificate_pem;
    options.alpn = std::move(alpn);
    if (!client_context_) client_context_ = tls::ClientContext::make(options).value();
    Transport::Connect how;
    how.tls = client_context_.get();
    how.server_name = name;
    return how;
  }
  // A new pair of ends, the same network.
  void start_over() {
    end_both();
    client_ = std::make_unique<End>(loop_);
    server_ = std::make_unique<End>(loop_);
  }

  const tls::SelfSigned certificate_ = make_certificate();
  std::shared_ptr<const tls::ServerContext> server_context_;
  std::shared_ptr<const tls::ClientContext> client_context_;
  bool accepts_tls_ = false;
  io::FakeNetwork network_;
  io::Loop loop_;
  Acceptor* acceptor_ = nullptr;
  std::unique_ptr<End> client_;
  std::unique_ptr<End> server_;
};

TEST_F(TransportTest, SendsItsPreambleFirst) {
  client_->first_words = "GET";
  Transport::Connect how;
  how.preamble = "PROXY\r\n";
  ASSERT_EQ(client_->transport.connect(kServer, how), Failure::none);
  settle();
  EXPECT_TRUE(client_->open);
  EXPECT_EQ(server_->received, "PROXY\r\nGET");
}

TEST_F(TransportTest, OpensWhenTheHandshakeIsDone) {
  serve_tls({}, {"h2", "http/1.1"});
  client_->first_words = "from the client";
  server_->first_words = "from the server";
  ASSERT_EQ(client_->transport.connect(kServer, with_tls("app.test", {"h2"})), Failure::none);
  EXPECT_FALSE(client_->open);
  settle();
  ASSERT_TRUE(client_->open);
  ASSERT_TRUE(server_->open);
  EXPECT_EQ(client_->transport.tls_info().alpn, "h2");
  EXPECT_EQ(client_->received, "from the server");
  EXPECT_EQ(server_->received, "from the client");
  client_->transport.finish();
  settle();
  EXPECT_EQ(server_->end, "clean");
}

TEST_F(TransportTest, ChecksAnAddressAsWellAsAName) {
  serve_tls();
  ASSERT_EQ(client_->transport.connect(kServer, with_tls("10.0.0.2")), Failure::none);
  settle();
  EXPECT_TRUE(client_->open);
}

TEST_F(TransportTest, SendsThePreambleBeforeTls) {
  serve_tls();
  accepts_tls_ = false;
  server_->tls = server_context_.get();
  server_->starts_tls_after = 7;
  client_->first_words = "GET";
  Transport::Connect how = with_tls();
  how.preamble = "PROXY\r\n";
  ASSERT_EQ(client_->transport.connect(kServer, how), Failure::none);
  settle();
  EXPECT_EQ(server_->received, "PROXY\r\nGET");
  EXPECT_TRUE(server_->transport.is_tls());
}

TEST_F(TransportTest, ResumesWithASavedSession) {
  serve_tls();
  client_->first_words = "x";
  server_->first_words = "y";
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle();
  ASSERT_TRUE(client_->open);
  EXPECT_FALSE(client_->transport.tls_info().resumed);
  Transport::Connect how = with_tls();
  how.session = client_->transport.take_saved_session();
  ASSERT_TRUE(how.session);
  EXPECT_FALSE(client_->transport.take_saved_session());  // given out once
  start_over();
  ASSERT_EQ(client_->transport.connect(kServer, how), Failure::none);
  settle();
  ASSERT_TRUE(client_->open);
  EXPECT_TRUE(client_->transport.tls_info().resumed);
}

TEST_F(TransportTest, RefusesACertificateForSomebodyElse) {
  serve_tls();
  ASSERT_EQ(client_->transport.connect(kServer, with_tls("other.test")), Failure::none);
  settle();
  EXPECT_FALSE(client_->open);
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_THAT(client_->transport.tls_failure(), HasSubstr("certificate"));
}

TEST_F(TransportTest, RefusesACertificateThatNobodyVouchesFor) {
  serve_tls();
  tls::ClientOptions options;
  options.trust_anchors_pem = make_certificate().certificate_pem;
  client_context_ = tls::ClientContext::make(options).value();
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle();
  EXPECT_FALSE(client_->open);
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_THAT(client_->transport.tls_failure(), HasSubstr("certificate"));
}

TEST_F(TransportTest, SpeaksToNobodyWithoutANameToCheck) {
  serve_tls();
  ASSERT_EQ(client_->transport.connect(kServer, with_tls("")), Failure::none);
  settle();
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_THAT(client_->transport.tls_failure(), HasSubstr("name"));
}

TEST_F(TransportTest, TellsAServerThatSpeaksNoTls) {
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle(3);
  server_->transport.write(as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
  settle();
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_NE(client_->transport.tls_failure(), "");
  EXPECT_FALSE(client_->open);
}

TEST_F(TransportTest, TellsAServerThatEndsDuringTheHandshake) {
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle(3);
  server_->transport.finish();
  settle();
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_EQ(client_->transport.tls_failure(), "closed during the handshake");
  EXPECT_EQ(client_->end, "");
}

TEST_F(TransportTest, TellsARefusedConnectFromARefusedHandshake) {
  network_.fail_connects(kServer, ECONNREFUSED);
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle();
  EXPECT_EQ(client_->failure, Failure::refused);
  EXPECT_EQ(client_->transport.tls_failure(), "");
}

TEST_F(TransportTest, CutsAHandshakeThatGoesOnTooLong) {
  // A chain of certificates with thousands of names.
  std::vector<std::string> names;
  for (int i = 0; i < 250; ++i) {
    names.push_back("name-" + std::to_string(i) + "." + std::string(30, 'x') + ".test");
  }
  const std::string large = tls::make_self_signed(names, 1).certificate_pem;
  std::string chain;
  for (int i = 0; i < 7; ++i) chain += large;
  serve_tls(chain);
  ASSERT_EQ(client_->transport.connect(kServer, with_tls()), Failure::none);
  settle(200);
  EXPECT_FALSE(client_->open);
  EXPECT_EQ(client_->failure, Failure::tls);
  EXPECT_EQ(client_->transport.tls_failure(), "handshake too long");
}

class TransportChaosTest : public TransportTest, public testing::WithParamInterface<std::uint64_t> {
 protected:
  TransportChaosTest() : TransportTest(io::FaultPlan::chaos(GetParam())) {}
};

TEST_P(TransportChaosTest, CarriesWhatIsWrittenHoweverItIsCutUp) {
  serve_tls();
  std::string large(200'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i * 7 % 26);
  client_->first_words = large;
  server_->first_words = large + large;
  Transport::Connect how = with_tls();
  ASSERT_EQ(client_->transport.connect(kServer, how), Failure::none);
  const auto all_there = [&] {
    return client_->received.size() >= 2 * large.size() && server_->received.size() >= large.size();
  };
  for (int i = 0; i < 20'000 && !all_there(); ++i) settle(1);
  EXPECT_EQ(client_->received.size(), 2 * large.size());
  EXPECT_TRUE(client_->received == large + large);
  EXPECT_EQ(server_->received.size(), large.size());
  EXPECT_TRUE(server_->received == large);
  client_->transport.finish();
  settle(200);
  EXPECT_EQ(server_->end, "clean");
}
INSTANTIATE_TEST_SUITE_P(Seeds, TransportChaosTest, testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace sluice::proxy

#include "tests/harness/http_client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "proxy/base/check.h"
#include "tests/harness/certificate.h"
#include "tests/harness/pattern.h"

namespace sluice::harness {
namespace {

// Accepts one connection, lets `act` do with it what it wants, and closes it.
class OneShotServer {
 public:
  explicit OneShotServer(std::function<void(int)> act) : listener_(bind_loopback(0)) {
    SLUICE_CHECK(listen(listener_.get(), 1) == 0);
    thread_ = std::thread([this, act = std::move(act)] {
      pollfd poll_fd{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      poll(&poll_fd, 1, 10'000);
      Fd fd(accept(listener_.get(), nullptr, nullptr));
      if (fd) act(fd.get());
    });
  }
  ~OneShotServer() { thread_.join(); }
  Endpoint endpoint() const { return Endpoint::tcp(local_port(listener_.get())); }

 private:
  Fd listener_;
  std::thread thread_;
};

void say(int fd, std::string_view text) {
  SLUICE_CHECK(send(fd, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size()));
}

// Waits for the peer's FIN.
void drain_input(int fd) {
  char buffer[4096];
  while (recv(fd, buffer, sizeof buffer, 0) > 0) {
  }
}

TEST(HttpClient, TellsCompleteFromTruncatedFromReset) {
  struct {
    std::string says;
    bool reset;
    Outcome outcome;
    Ending ending;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, Outcome::complete, Ending::open},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, Outcome::truncated, Ending::closed},
      {"HTTP/1.1 200 OK\r\n\r\nok", false, Outcome::complete, Ending::closed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true, Outcome::reset, Ending::reset},
      {"HTTP/1.1 OK\r\n\r\n", false, Outcome::malformed, Ending::open},
      {"", false, Outcome::truncated, Ending::closed},
  };
  for (const auto& test : cases) {
    OneShotServer server([&](int fd) {
      say(fd, test.says);
      // A reset would overtake what is not read yet.
      char byte;
      if (test.reset) {
        recv(fd, &byte, 1, 0);
        linger abort{.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
      }
    });
    auto client = HttpClient::connect(server.endpoint());
    ASSERT_TRUE(client) << client.error();
    HttpClient::Read read;
    read.on_body = [&](std::string_view) {
      if (test.reset) (*client)->send("x");
    };
    Response response = (*client)->read_response(read);
    EXPECT_EQ(response.outcome, test.outcome) << test.says << "\n" << response.summary();
    EXPECT_EQ(response.ending, test.ending) << test.says << "\n" << response.summary();
  }
}

TEST(HttpClient, WaitsNoLongerThanItsPatience) {
  OneShotServer server(drain_input);
  auto client = HttpClient::connect(server.endpoint(), {.patience = milliseconds(20)});
  ASSERT_TRUE(client);
  EXPECT_EQ((*client)->read_response().outcome, Outcome::timed_out);
  EXPECT_TRUE((*client)->stays_quiet(milliseconds(5)));
}

TEST(HttpClient, SaysWhyItCouldNotConnect) {
  Fd bound = bind_loopback(0);
  auto client = HttpClient::connect(Endpoint::tcp(local_port(bound.get())));
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().find("Connection refused"), std::string::npos) << client.error();
}

TEST(HttpClient, SpeaksOverUnixSockets) {
  TempDir directory;
  std::string path = directory.file("s");
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  std::thread server([&] {
    Fd fd(accept(listener.get(), nullptr, nullptr));
    say(fd.get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    drain_input(fd.get());
  });
  EXPECT_EQ(fetch(Endpoint::parse("unix:" + path), "GET", "/").body, "ok");
  server.join();
}

TEST(Endpoint, ReadsAndWritesAddresses) {
  EXPECT_EQ(Endpoint::parse("127.0.0.1:80").text(), "127.0.0.1:80");
  EXPECT_EQ(Endpoint::parse("[::1]:80").text(), "[::1]:80");
  EXPECT_EQ(Endpoint::parse("unix:/x/y").text(), "unix:/x/y");
  EXPECT_EQ(Endpoint::parse("0.0.0.0:80").text(), "127.0.0.1:80");
}

// A TLS server for one connection.
class TlsServer {
 public:
  TlsServer() : files_(make_certificate(directory_.path())), context_(SSL_CTX_new(TLS_method())) {
    SLUICE_CHECK(
        SSL_CTX_use_certificate_chain_file(context_.get(), files_.certificate_file.c_str()) == 1);
    SLUICE_CHECK(SSL_CTX_use_PrivateKey_file(context_.get(), files_.key_file.c_str(),
                                             SSL_FILETYPE_PEM) == 1);
  }
  // Answers with `text`; says close_notify before it closes if `clean`.
  std::function<void(int)> answer(std::string text, bool clean) {
    return [this, text = std::move(text), clean](int fd) {
      bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
      SSL_set_fd(ssl.get(), fd);
      if (SSL_accept(ssl.get()) != 1) return;
      SLUICE_CHECK(SSL_write(ssl.get(), text.data(), static_cast<int>(text.size())) > 0);
      if (clean) SSL_shutdown(ssl.get());
      shutdown(fd, SHUT_WR);
      drain_input(fd);
    };
  }

 private:
  TempDir directory_;
  CertificateFiles files_;
  bssl::UniquePtr<SSL_CTX> context_;
};

TEST(HttpClientTls, TellsAFinishedFromACutConnection) {
  TlsServer tls;
  for (bool clean : {true, false}) {
    OneShotServer server(tls.answer("HTTP/1.1 200 OK\r\n\r\nok", clean));
    auto client = HttpClient::connect_tls(server.endpoint());
    ASSERT_TRUE(client) << client.error();
    EXPECT_EQ((*client)->tls_version(), TLS1_3_VERSION);
    EXPECT_EQ((*client)->tls_group(), "X25519");
    Response response = (*client)->read_response();
    EXPECT_EQ(response.body, "ok");
    EXPECT_EQ(response.ending, clean ? Ending::closed : Ending::without_close_notify);
    EXPECT_EQ(response.outcome, clean ? Outcome::complete : Outcome::truncated);
  }
}

TEST(HttpClientTls, ResumesASession) {
  TlsServer tls;
  bssl::UniquePtr<SSL_SESSION> session;
  for (bool expected : {false, true}) {
    OneShotServer server(tls.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true));
    auto client = HttpClient::connect_tls(server.endpoint(), {.resume = session.get()});
    ASSERT_TRUE(client) << client.error();
    EXPECT_EQ((*client)->read_response().status, 200);
    EXPECT_EQ((*client)->tls_resumed(), expected);
    session = (*client)->tls_session();
    ASSERT_TRUE(session);
  }
}

TEST(HttpClientTls, AFailedHandshakeIsAnErrorWithText) {
  OneShotServer server([](int fd) { say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n"); });
  auto client = HttpClient::connect_tls(server.endpoint());
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().find("TLS handshake"), std::string::npos) << client.error();
}

}  // namespace
}  // namespace sluice::harness

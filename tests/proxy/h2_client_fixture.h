// The HTTP/2 client of the tests of its connections, in front of client_fixture.h's service.
#pragma once

#include "proxy/data/h2_client.h"
#include "tests/proxy/client_fixture.h"
#include "tests/proxy/h2_peer.h"

namespace sluice::proxy {

class H2ClientTest : public ClientTest {
 protected:
  H2ClientTest() {
    settings_->http1 = false;
    settings_->http2 = true;
    settings_->limits.stream_buffer_bytes = 10'000;
  }

  // Until everything that was said has been heard.
  void settle(H2Peer& client) {
    for (int i = 0; i < 30; ++i) {
      turn();
      client.step();
    }
    EXPECT_EQ(client.complaint(), "");
  }

  void pass(H2Peer& client, Duration time) {
    network_.advance(time);
    settle(client);
  }

  H2Peer connect(const H2Peer::Options& options = {}) {
    if (!std::exchange(listening_, true)) listen();
    H2Peer client(network_.connect(address_), options);
    settle(client);
    return client;
  }

  // Of unknown length, so that its end is a frame of its own.
  void answer(std::size_t index, std::string_view body, int status = 200) {
    ClientStream& stream = *asked(index).stream;
    stream.send_head(response(status), ClientStream::Author::server);
    stream.send_body(as_bytes(body));
    stream.send_end({});
  }

 private:
  bool listening_ = false;
};

}  // namespace sluice::proxy

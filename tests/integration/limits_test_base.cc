#include <map>

#include "tests/integration/limits_test.h"

namespace sluice::integration {

void LimitsTest::start_narrow(Scenario scenario, const std::string& narrow) {
  const std::string protocols = "protocols = [\"http/1.1\", \"h2\"]\n";
  scenario.listener += protocols;
  scenario.more += "[listeners.narrow]\naddress = \"127.0.0.1:0\"\n" + protocols + narrow + "\n";
  start(scenario);
}

AnyClient LimitsTest::connect_to(const std::string& listener, bool h2,
                                 harness::H2Client::Options options) {
  const harness::Endpoint endpoint = sluice_->endpoint(listener);
  if (h2) {
    auto made = harness::H2Client::connect(endpoint, std::move(options));
    EXPECT_TRUE(made) << made.error();
    return AnyClient(made ? std::move(*made) : nullptr);
  }
  auto made = HttpClient::connect(endpoint);
  EXPECT_TRUE(made) << made.error();
  return AnyClient(made ? std::move(*made) : nullptr);
}

std::string version_name(const testing::TestParamInfo<bool>& h2) {
  return h2.param ? "H2" : "H1";
}

bool answered_within(AnyClient& client, milliseconds time) {
  if (!client.is_h2()) return !client.h1().stays_quiet(time);
  const auto answered = [&] {
    return client.h2().response(client.stream()).status != 0 || client.h2().over(client.stream());
  };
  return client.h2().wait_until(answered, Deadline(time)) || answered();
}

Ending end_of(AnyClient& client) {
  if (!client.is_h2()) return client.h1().wait_for_end();
  client.h2().wait_until([&] { return client.h2().ending() != Ending::open; });
  return client.h2().ending();
}

Fields behaving(const std::string& behaviour) {
  Fields fields;
  fields.add("X-Origin-Behaviour", behaviour);
  return fields;
}

harness::RawOrigin::Script h2_server(
    std::function<std::string(std::uint32_t stream)> on_head,
    std::function<std::string(std::uint32_t stream, std::uint64_t bytes)> on_data) {
  namespace h2 = harness::h2;
  return [on_head, on_data](harness::RawConnection& connection) {
    connection.read_bytes(h2::kPreface.size());
    connection.write(h2::settings({}));
    h2::FrameReader reader;
    std::map<std::uint32_t, std::uint64_t> bytes;
    for (std::string more; !(more = connection.read_some()).empty();) {
      reader.add(more);
      while (const auto frame = reader.next()) {
        if (frame->type == h2::kSettings && (frame->flags & h2::kAck) == 0) {
          connection.write(h2::frame(h2::kSettings, h2::kAck, 0));
        } else if (frame->type == h2::kHeaders) {
          connection.write(on_head(frame->stream));
        } else if (frame->type == h2::kData && on_data) {
          const auto size = static_cast<std::uint32_t>(frame->payload.size());
          bytes[frame->stream] += size;
          // The connection's window is open, as far as it goes.
          if (size > 0) connection.write(h2::window_update(0, size));
          connection.write(on_data(frame->stream, bytes[frame->stream]));
        }
      }
    }
  };
}

}  // namespace sluice::integration

// Bytes from a server that was asked for a GET, a HEAD, a POST, a tunnel and an upgrade: the
// verdict doesn't depend on how they are split, no response looks whole that isn't, and what is
// handed on reads back, written for an HTTP/1 client, as the same response.
#include <cstdint>

#include "proxy/http/forwarding.h"
#include "proxy/http/h1_head_parser.h"
#include "tests/fuzz/h2_owner.h"

namespace sluice::h2 {
namespace {

constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

struct Request {
  std::string_view method;
  std::string_view protocol;
  bool end;
};
constexpr Request kRequests[] = {{"GET", "", true},
                                 {"HEAD", "", true},
                                 {"POST", "", false},
                                 {"CONNECT", "", false},
                                 {"CONNECT", "websocket", false}};

class Owner final : public SessionHandler {
 public:
  Owner() : session(options(), *this) {}

  StreamHandler* on_request(Stream&, http::RequestHead&&, bool) override {
    SLUICE_CHECK(!"a server asked");
    return nullptr;
  }
  void on_refused_request(Stream&, const http::RequestHead&, const http::ParseError&) override {
    SLUICE_CHECK(!"a server asked");
  }
  void on_goaway() override { going_away = true; }  // of several in one piece once
  void on_settings() override {}

  void ask() {
    for (const Request& request : kRequests) {
      streams.push_back(std::make_unique<FuzzStream>());
      FuzzStream& made = *streams.back();
      made.verdict = &verdict;
      made.stream = &session.open(made);
      Section section;
      section.append(":method", request.method);
      if (!request.protocol.empty()) section.append(":protocol", request.protocol);
      const bool plain_connect = request.method == "CONNECT" && request.protocol.empty();
      if (!plain_connect) section.append(":scheme", "http");
      section.append(":authority", "h:1");
      if (!plain_connect) section.append(":path", "/");
      made.stream->send_request(section, request.end);
      if (!request.end) made.stream->send_data(as_bytes("data"));
    }
  }

  static Options options() {
    return {.role = Options::Role::client,
            .scheme = "http",
            .head_limits = kFuzzHeadLimits,
            // Larger than any input: whether a smaller one is overrun depends on how much of it was
            // given back before, and so on how the input is split.
            .stream_window_bytes = 100'000,
            .connection_window_bytes = 100'000};
  }

  std::string verdict;
  bool going_away = false;
  std::vector<std::unique_ptr<FuzzStream>> streams;
  Session session;
};

void check_http1(const FuzzStream& stream, const Request& asked) {
  if (!stream.ended || asked.method == "CONNECT") return;
  http::RequestHead request;
  request.method = http::method_from(asked.method);
  request.method_text = asked.method;
  const http::ClientFraming framing = http::frame_for_client(request, stream.response, true, "now");
  std::string out;
  http::write_forwarded_response(out, stream.response, framing);
  http::H1ResponseParser parser{http::HeadLimits{}};
  parser.reset(request.method);
  http::ResponseHead read;
  const http::HeadResult result = parser.consume(as_bytes(out), read);
  SLUICE_CHECK(result.status == http::HeadStatus::done);
  SLUICE_CHECK(result.consumed == out.size());
  SLUICE_CHECK(read.status == stream.response.status);
  SLUICE_CHECK(read.body.kind == framing.body.kind && read.body.bytes == framing.body.bytes);
  // Its end can be told.
  SLUICE_CHECK(read.body.kind != http::BodyLength::Kind::until_close);
}

std::string verdict_of(std::string_view text, auto next_size) {
  Owner owner;
  FuzzOutput output;
  feed(owner.session, kSettings, [] { return std::size_t{9}; });
  owner.ask();
  settle(owner.session, output);
  const bool good = feed(owner.session, text, next_size);
  owner.verdict.append(good ? " well" : " failed ").append(owner.session.failure());
  if (owner.going_away) owner.verdict.append(" goaway");
  for (std::size_t index = 0; index < owner.streams.size(); ++index) {
    const FuzzStream& stream = *owner.streams[index];
    owner.verdict.append(stream.ended ? " whole" : " cut");
    check_http1(stream, kRequests[index]);
  }
  settle(owner.session, output);
  owner.session.on_connection_lost();
  settle(owner.session, output);
  for (const auto& stream : owner.streams) SLUICE_CHECK(stream->closed);
  SLUICE_CHECK(owner.session.streams() == 0);
  return owner.verdict;
}

}  // namespace
}  // namespace sluice::h2

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::h2;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string whole = verdict_of(text, [&] { return text.size(); });
  SLUICE_CHECK(verdict_of(text, [] { return std::size_t{1}; }) == whole);
  SLUICE_CHECK(verdict_of(text, [] { return std::size_t{13}; }) == whole);
  return 0;
}

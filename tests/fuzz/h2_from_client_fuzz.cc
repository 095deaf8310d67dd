// Bytes from a client, behind its preface: the verdict doesn't depend on how they are split, bodies
// are as long as their heads say, and each request that is served reads back as the same one when
// it is written for an HTTP/1 and for an HTTP/2 server.
#include <cstdint>

#include "proxy/http/forwarding.h"
#include "proxy/http/h1_head_parser.h"
#include "tests/fuzz/h2_owner.h"

namespace sluice::h2 {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

void check_http1(const http::RequestHead& head) {
  const http::ForwardContext context{.client_address = "192.0.2.1", .request_id = "id-1"};
  std::string out;
  http::write_forwarded_request(out, head, context, head.body);
  http::H1RequestParser parser{http::HeadLimits{}};
  http::RequestHead read;
  const http::HeadResult result = parser.consume(as_bytes(out), read);
  SLUICE_CHECK(result.status == http::HeadStatus::done);
  SLUICE_CHECK(result.consumed == out.size());
  SLUICE_CHECK(read.method_text == head.method_text && read.target == head.target);
  SLUICE_CHECK(read.authority == head.authority);
  SLUICE_CHECK(read.body.kind == head.body.kind && read.body.bytes == head.body.bytes);
}

void check_http2(const http::RequestHead& head) {
  const http::ForwardContext context{.client_address = "192.0.2.1", .request_id = "id-1"};
  Section section;
  write_request_section(section, head, &context, "http");
  SectionReader reader{http::HeadLimits{}};
  reader.begin(SectionReader::Kind::request);
  for (const http::Field field : section) SLUICE_CHECK(!reader.add(field.name, field.value));
  const bool complete = head.body.kind == http::BodyLength::Kind::none;
  http::RequestHead read;
  SLUICE_CHECK(!reader.finish_request(complete, "http", read));
  SLUICE_CHECK(read.method_text == head.method_text && read.target == head.target);
  SLUICE_CHECK(read.authority == head.authority && read.protocol == head.protocol);
  SLUICE_CHECK(read.body.kind == head.body.kind && read.body.bytes == head.body.bytes);
}

class Owner final : public SessionHandler {
 public:
  explicit Owner(bool answers) : session(options(), *this), answers_(answers) {}

  StreamHandler* on_request(Stream& stream, http::RequestHead&& head, bool complete) override {
    verdict.append("request ").append(head.method_text).append(head.target).append(head.authority);
    verdict.append(tell(head.fields)).append(complete ? "." : "");
    if (!http::answered_here(head)) {
      // With a key of its own an upgrade would be a WebSocket's; made elsewhere.
      if (head.protocol.empty()) check_http1(head);
      check_http2(head);
    }
    streams_.push_back(std::make_unique<FuzzStream>());
    FuzzStream& made = *streams_.back();
    made.stream = &stream;
    made.verdict = &verdict;
    made.body = head.body;
    made.head_seen = true;
    if (complete) made.ended = true;
    if (answers_) {
      Section section;
      section.append(":status", "200");
      stream.send_response(section, false);
      stream.send_data(as_bytes("body"));
      stream.send_end({});
      made.answered = true;
    }
    return &made;
  }
  void on_refused_request(Stream& stream, const http::RequestHead& head,
                          const http::ParseError& error) override {
    verdict.append("refused ").append(head.method_text).append(std::to_string(error.status));
    if (error.status < 400) return;
    Section section;
    section.append(":status", "400");
    stream.send_response(section, true);
  }
  void on_goaway() override {}  // of several in one piece once
  void on_settings() override { SLUICE_CHECK(!"told of a server's SETTINGS as a server"); }

  static Options options() {
    return {.role = Options::Role::server,
            .scheme = "http",
            .head_limits = kFuzzHeadLimits,
            .streams_max = 5,
            // Larger than any input: whether a smaller one is overrun depends on how much of it was
            // given back before, and so on how the input is split.
            .stream_window_bytes = 100'000,
            .connection_window_bytes = 100'000};
  }

  std::string verdict;
  Session session;

 private:
  std::vector<std::unique_ptr<FuzzStream>> streams_;
  bool answers_;
};

std::string verdict_of(std::string_view text, bool answers, auto next_size) {
  Owner owner(answers);
  FuzzOutput output;
  settle(owner.session, output);
  const bool good = feed(owner.session, std::string(kPreface) + std::string(kSettings),
                         [] { return std::size_t{100}; }) &&
                    feed(owner.session, text, next_size);
  owner.verdict.append(good ? " well" : " failed ").append(owner.session.failure());
  settle(owner.session, output);
  if (!good) SLUICE_CHECK(owner.session.streams() == 0);
  if (text.size() % 2 == 0) owner.session.on_connection_lost();
  settle(owner.session, output);
  return owner.verdict;
}

}  // namespace
}  // namespace sluice::h2

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::h2;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool answers : {false, true}) {
    const std::string whole = verdict_of(text, answers, [&] { return text.size(); });
    SLUICE_CHECK(verdict_of(text, answers, [] { return std::size_t{1}; }) == whole);
    SLUICE_CHECK(verdict_of(text, answers, [] { return std::size_t{13}; }) == whole);
  }
  return 0;
}

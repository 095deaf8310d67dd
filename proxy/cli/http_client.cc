#include "proxy/cli/http_client.h"

#include <fmt/core.h>

#include "proxy/base/check.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"
#include "proxy/http/h1_writer.h"

namespace sluice::cli {
namespace {

Failure garbled(std::string_view why) {
  return {ExitStatus::unreachable,
          fmt::format("what answered is not HTTP as it should be: {}", why)};
}

Failure cut() {
  return {ExitStatus::unreachable, "the connection ended in the middle of the answer"};
}

bool over(TimePoint deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

}  // namespace

HttpClient::HttpClient(Place place, std::shared_ptr<const tls::ClientContext> tls)
    : place_(std::move(place)), tls_(std::move(tls)) {
}

std::expected<Answer, Failure> HttpClient::call(const Call& call, TimePoint deadline) {
  Answer answer;
  bool too_large = false;
  const Sink sink{.on_head =
                      [&](const http::ResponseHead& head) {
                        answer.head = head;
                        return true;
                      },
                  .on_body =
                      [&](std::string_view piece) {
                        too_large = answer.body.size() + piece.size() > kAnswerBytesMax;
                        if (!too_large) answer.body += piece;
                        return !too_large;
                      }};
  auto done = stream(call, deadline, deadline, sink);
  if (!done) return std::unexpected(std::move(done.error()));
  if (too_large) {
    return std::unexpected(
        explained(garbled(fmt::format("its answer is longer than {} bytes", kAnswerBytesMax)),
                  /*sent=*/false));
  }
  return answer;
}

std::expected<bool, Failure> HttpClient::stream(const Call& call, TimePoint deadline,
                                                TimePoint body_deadline, const Sink& sink) {
  const bool kept = connection_ != nullptr;
  auto done = exchange(call, deadline, body_deadline, sink);
  // A connection that was kept may have been closed meanwhile: of a call that changes nothing it is
  // known that it can be made again.
  if (!done && kept && !answered_ && call.method == "GET" &&
      done.error().status == ExitStatus::unreachable) {
    done = exchange(call, deadline, body_deadline, sink);
  }
  return done;
}

std::expected<bool, Failure> HttpClient::exchange(const Call& call, TimePoint deadline,
                                                  TimePoint body_deadline, const Sink& sink) {
  answered_ = false;
  if (auto done = connect(deadline); !done)
    return std::unexpected(explained(std::move(done.error()), false));
  // From here on a change may have arrived.
  const auto give_up = [&](Failure failure) {
    connection_.reset();
    return std::unexpected(explained(std::move(failure), call.method != "GET"));
  };
  // A server may refuse a body before it has read it all: its answer says more than the broken
  // pipe.
  auto sent = send(call, deadline);
  if (!sent && sent.error().status == ExitStatus::timed_out)
    return give_up(std::move(sent.error()));
  auto head = read_head(http::method_from(call.method), deadline);
  if (!head) return give_up(std::move(sent ? head.error() : sent.error()));
  if (!sink.on_head(*head)) {
    connection_.reset();
    return false;
  }
  auto whole = read_body(*head, body_deadline, sink);
  if (!whole) return give_up(std::move(whole.error()));
  if (!*whole || !head->keep_alive || ended_ || !sent) connection_.reset();
  return *whole;
}

std::expected<void, Failure> HttpClient::connect(TimePoint deadline) {
  if (connection_) return {};
  received_ = {};
  ended_ = false;
  auto connection = Connection::open(place_, tls_, deadline);
  if (!connection) return std::unexpected(std::move(connection.error()));
  connection_ = std::move(*connection);
  return {};
}

std::expected<void, Failure> HttpClient::send(const Call& call, TimePoint deadline) {
  http::RequestHead head;
  head.method_text = call.method;
  head.method = http::method_from(call.method);
  head.authority = place_.authority();
  head.target = call.target;
  head.fields = call.fields;
  if (!call.content_type.empty()) {
    head.fields.append("Content-Type", call.content_type);
    head.body = {.kind = http::BodyLength::Kind::known, .bytes = call.body.size()};
  } else if (call.method != "GET") {
    head.body = {.kind = http::BodyLength::Kind::known, .bytes = 0};
  }
  std::string bytes;
  http::write_request_head(bytes, head);
  bytes += call.body;
  return connection_->send(bytes, deadline);
}

std::expected<void, Failure> HttpClient::receive(TimePoint deadline) {
  // A peer that sends without end gives no chance to wait, and so to see that time is up.
  if (over(deadline))
    return std::unexpected(Failure{ExitStatus::timed_out, "the answer takes too long"});
  auto got = connection_->receive(deadline);
  if (!got) return std::unexpected(std::move(got.error()));
  received_ = *got;
  ended_ = got->empty();
  answered_ = answered_ || !ended_;
  return {};
}

std::expected<http::ResponseHead, Failure> HttpClient::read_head(http::Method method,
                                                                 TimePoint deadline) {
  http::H1ResponseParser parser{http::HeadLimits{}};
  http::ResponseHead head;
  for (int interim = 0; interim <= kInterimResponsesMax;) {
    if (parser.idle()) parser.reset(method);
    const http::HeadResult result = parser.consume(as_bytes(received_), head);
    received_.remove_prefix(result.consumed);
    if (result.status == http::HeadStatus::error)
      return std::unexpected(garbled(result.error.reason));
    if (result.status == http::HeadStatus::done) {
      if (!head.is_interim()) return head;
      head.clear();
      parser.reset(method);
      ++interim;
      continue;
    }
    if (auto got = receive(deadline); !got) return std::unexpected(std::move(got.error()));
    if (ended_) {
      return std::unexpected(
          answered_ ? cut() : Failure{ExitStatus::unreachable, "it hung up without an answer"});
    }
  }
  return std::unexpected(garbled("it sends interim responses without end"));
}

std::expected<bool, Failure> HttpClient::read_body(const http::ResponseHead& head,
                                                   TimePoint deadline, const Sink& sink) {
  http::H1BodyDecoder decoder{http::HeadLimits{}, http::MessageSide::response};
  decoder.begin(head.body);
  while (true) {
    const auto result = decoder.consume(as_bytes(received_));
    const std::string_view data = as_text(result.data);
    if (result.status == http::H1BodyDecoder::Status::data && !sink.on_body(data)) return false;
    received_.remove_prefix(result.consumed);
    switch (result.status) {
      case http::H1BodyDecoder::Status::data:
        continue;
      case http::H1BodyDecoder::Status::done:
        return true;
      case http::H1BodyDecoder::Status::error:
        return std::unexpected(garbled(result.error.reason));
      case http::H1BodyDecoder::Status::need_more:
        break;
    }
    if (auto got = receive(deadline); !got) return std::unexpected(std::move(got.error()));
    if (!ended_) continue;
    if (decoder.finish()) return true;
    return std::unexpected(cut());
  }
}

// `sent`: the request may have arrived, and changed something.
Failure HttpClient::explained(Failure failure, bool sent) const {
  failure.text =
      fmt::format("can't talk to {} ({}): {}", place_.to_string(), place_.said_by, failure.text);
  if (sent) {
    failure.text +=
        ". Whether the call was carried out is not known: `sluice history` and `sluice weights` "
        "show it";
  }
  return failure;
}

}  // namespace sluice::cli

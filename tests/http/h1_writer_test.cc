#include "proxy/http/h1_writer.h"

#include <gtest/gtest.h>

#include "proxy/http/error_response.h"
#include "proxy/http/forwarding.h"
#include "tests/http/verdict.h"

namespace sluice::http {
namespace {

using Kind = BodyLength::Kind;

TEST(H1Writer, RequestIsReadBackEqual) {
  RequestHead head;
  head.method_text = "POST";
  head.target = "/v3/kv?x=1";
  head.authority = "etcd:2379";
  head.fields.append("Accept", "*/*");
  head.body = {Kind::known, 12};
  std::string out;
  write_request_head(out, head);
  EXPECT_EQ(
      out,
      "POST /v3/kv?x=1 HTTP/1.1\r\nHost: etcd:2379\r\nAccept: */*\r\nContent-Length: 12\r\n\r\n");
  EXPECT_EQ(request_verdict({out}),
            "POST /v3/kv?x=1 at 'etcd:2379' 1.1 body known 12 keep "
            "[Host|etcd:2379][Accept|*/*][Content-Length|12] after " +
                std::to_string(out.size()));
}

TEST(H1Writer, FramingFieldsComeFromTheBodyAlone) {
  RequestHead head;
  head.method_text = "PUT";
  head.target = "/";
  head.authority = "h";
  head.fields.append("content-length", "99");
  head.fields.append("Transfer-Encoding", "chunked");
  head.fields.append("Host", "other");
  head.fields.append("Connection", "keep-alive");
  head.body = {Kind::chunked};
  head.keep_alive = false;
  std::string out;
  write_request_head(out, head);
  EXPECT_EQ(out,
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

TEST(H1WriterDeathTest, NoLineEndComesFromAValue) {
  std::string out;
  EXPECT_DEATH(write_field(out, "a", "b\r\nc: d"), "is_field_value");
  EXPECT_DEATH(write_field(out, "a\n", "b"), "is_field_value");
  EXPECT_DEATH(write_field(out, "a", std::string_view("\0", 1)), "is_field_value");
  EXPECT_DEATH(write_request_line(out, "GET", "/ HTTP/1.1\r\nx: y"), "is_field_value");
  EXPECT_DEATH(write_request_line(out, "GET", "/a b"), "target");
  EXPECT_DEATH(write_status_line(out, 200, "a\rb"), "is_field_value");
}

std::string written(const ErrorResponse& response, const ClientFraming& framing) {
  std::string out;
  write_own_response(out, response.head, framing);
  return out;
}

TEST(ErrorResponse, SaysWhatAndThatItIsTheProxys) {
  const ErrorResponse response = error_response(404, "no route for this host and path");
  RequestHead request;
  const auto framing =
      frame_for_client(request, response.head, true, "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(written(response, framing),
            "HTTP/1.1 404 Not Found\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Cache-Control: no-store\r\n"
            "Proxy-Status: sluice; error=destination_not_found; "
            "details=\"no route for this host and path\"\r\n"
            "Content-Length: 47\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  EXPECT_EQ(response.body, "404 Not Found: no route for this host and path\n");
  EXPECT_EQ(response.body.size(), 47u);
}

TEST(ErrorResponse, EveryStatusParsesBackWithItsBody) {
  for (const int status :
       {400, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505}) {
    const ErrorResponse response = error_response(status, "what went wrong");
    RequestHead request;
    for (const Method method : {Method::get, Method::head}) {
      request.method = method;
      const auto framing = frame_for_client(request, response.head, response.head.keep_alive, "");
      H1ResponseParser parser{HeadLimits{}};
      parser.reset(method);
      ResponseHead head;
      const std::string out = written(response, framing);
      ASSERT_EQ(parser.consume(as_bytes(out), head).status, HeadStatus::done) << out;
      EXPECT_EQ(head.status, status);
      EXPECT_NE(head.reason, "Unknown");
      EXPECT_EQ(head.fields.find(FieldId::content_length), std::to_string(response.body.size()));
      EXPECT_EQ(head.fields.count(FieldId::content_length), 1u);
      EXPECT_TRUE(head.fields.find(FieldId::proxy_status)->starts_with("sluice; error="));
      EXPECT_EQ(head.fields.find("Allow").has_value(), status == 405);
      EXPECT_EQ(head.keep_alive, response.head.keep_alive);
      EXPECT_EQ(head.body.kind, method == Method::head ? Kind::none : Kind::known);
    }
  }
}

TEST(ErrorResponse, DetailCantBreakOutOfItsString) {
  const ErrorResponse response = error_response(400, "a\"b\\c\r\nd\xff", "tls_protocol_error");
  EXPECT_EQ(response.head.fields.find(FieldId::proxy_status),
            "sluice; error=tls_protocol_error; details=\"a\\\"b\\\\c??d?\"");
  EXPECT_EQ(response.body, "400 Bad Request: a\"b\\c??d?\n");
}

TEST(ErrorResponse, OptionsThatGoNoFurtherGetNoContent) {
  const ErrorResponse response = error_response(204, "");
  RequestHead request;
  EXPECT_EQ(
      written(response, frame_for_client(request, response.head, true, "")),
      "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n\r\n");
  EXPECT_TRUE(response.body.empty());
}

}  // namespace
}  // namespace sluice::http

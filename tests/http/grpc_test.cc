#include "proxy/http/grpc.h"

#include <gtest/gtest.h>

#include "proxy/http/error_response.h"
#include "proxy/http/forwarding.h"
#include "tests/http/verdict.h"

namespace sluice::http {
namespace {

TEST(Grpc, CallsAreKnownByTheirContentType) {
  const auto is_call = [](std::string_view type) {
    Fields fields;
    fields.append("Content-Type", type);
    return is_grpc(fields);
  };
  for (const char* type :
       {"application/grpc", "Application/gRPC", "application/grpc+proto",
        "application/grpc; charset=utf-8", "application/grpc;a=b", "application/grpc ; a=b"}) {
    EXPECT_TRUE(is_call(type)) << type;
  }
  for (const char* type :
       {"", "application/grp", "application/grpc-web", "application/grpc-web+proto",
        "application/grpcx", "text/application/grpc", "application/json"}) {
    EXPECT_FALSE(is_call(type)) << type;
  }
  EXPECT_FALSE(is_grpc(Fields{}));
}

TEST(Grpc, StatusesAreReadAsClientsReadThem) {
  const std::pair<int, int> cases[] = {{400, 13}, {401, 16}, {403, 7},  {404, 12}, {405, 2},
                                       {408, 4},  {413, 8},  {414, 8},  {429, 14}, {431, 8},
                                       {500, 2},  {501, 2},  {502, 14}, {503, 14}, {504, 14}};
  for (const auto& [http, grpc] : cases) {
    EXPECT_EQ(static_cast<int>(grpc_status_for(http)), grpc) << http;
  }
}

TEST(Grpc, MessagesAreEncodedByteByByte) {
  EXPECT_EQ(grpc_message("no server: 100% \"down\""), "no server: 100%25 \"down\"");
  EXPECT_EQ(grpc_message("a\r\n\x7f\xc3\xa9"), "a%0D%0A%7F%C3%A9");
  EXPECT_EQ(grpc_message(""), "");
}

TEST(Grpc, AnErrorIsTrailersOnly) {
  const ErrorResponse response =
      grpc_error_response(503, "No server\nof \"b\".", "destination_unavailable");
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(describe(response.head),
            "200 'OK' 1.1 body known 0 keep [Content-Type|application/grpc][Grpc-Status|14]"
            "[Grpc-Message|No server%0Aof \"b\".]"
            "[Proxy-Status|sluice; error=destination_unavailable; "
            "details=\"No server?of \\\"b\\\".\"]");
}

TEST(Grpc, AnErrorWithoutDetailSaysWhatItsStatusMeans) {
  const ErrorResponse response = grpc_error_response(504, "");
  EXPECT_EQ(response.head.fields.find("grpc-message"), "Gateway Timeout");
  EXPECT_EQ(response.head.fields.find(FieldId::proxy_status),
            "sluice; error=http_response_timeout");
}

TEST(Grpc, AnErrorIsWholeInEitherVersion) {
  const ErrorResponse response = grpc_error_response(400, "x");
  EXPECT_FALSE(response.head.keep_alive) << "as with any 400";
  RequestHead request;
  const ClientFraming framing = frame_for_client(request, response.head, true, "now");
  std::string out;
  write_own_response(out, response.head, framing);
  EXPECT_TRUE(
      out.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
                      "Grpc-Status: 13\r\nGrpc-Message: x\r\n"))
      << out;
  EXPECT_NE(out.find("\r\nContent-Length: 0\r\n"), std::string::npos);
  Fields fields;
  own_response_fields(fields, response.head, framing);
  EXPECT_TRUE(describe(fields).starts_with(
      "[content-type|application/grpc][grpc-status|13][grpc-message|x]"))
      << describe(fields);
}

}  // namespace
}  // namespace sluice::http

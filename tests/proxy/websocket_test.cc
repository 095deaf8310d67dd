#include "proxy/data/websocket.h"

#include <gtest/gtest.h>

#include "proxy/http/h1_upgrade.h"

namespace sluice::proxy {
namespace {

TEST(WebSocketHandshake, TheAnswerToTheSampleKeyIsTheSampleAnswer) {
  EXPECT_EQ(websocket_accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketHandshake, KeysAreWellFormedAndNeverTheSame) {
  const std::string key = make_websocket_key();
  EXPECT_TRUE(http::is_websocket_key(key)) << key;
  EXPECT_NE(key, make_websocket_key());
}

}  // namespace
}  // namespace sluice::proxy

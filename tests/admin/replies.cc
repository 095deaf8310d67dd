#include "tests/admin/replies.h"

#include <gtest/gtest.h>

namespace sluice::admin::testing {

std::string field(const Reply& reply, std::string_view name) {
  for (const auto& [known, value] : reply.fields) {
    if (known == name) return value;
  }
  return "";
}

nlohmann::json json_of(const Reply& reply) {
  auto json = nlohmann::json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << reply.body;
  return json;
}

std::string outcome(const Reply& reply) {
  std::string text = std::to_string(reply.status);
  if (reply.content_type != "application/problem+json") return text;
  const nlohmann::json json = json_of(reply);
  EXPECT_EQ(json.value("status", 0), reply.status);
  EXPECT_FALSE(json.value("title", "").empty());
  EXPECT_FALSE(json.value("detail", "").empty());
  return text + " " + json.value("code", "");
}

}  // namespace sluice::admin::testing

// The documents that repeat tables of admin/ for people say the same as those tables.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "admin/endpoints.h"
#include "admin/metrics.h"

namespace sluice::admin {
namespace {

std::string document(const std::string& name) {
  std::ifstream file(std::string(SLUICE_SOURCE_DIR) + "/docs/" + name);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Documents, MetricsAreTheTable) {
  const std::string text = document("metrics.md");
  std::string table = "| metric | type | labels | what |\n| --- | --- | --- | --- |\n";
  for (const MetricDefinition& metric : metric_definitions()) {
    std::string labels(metric.labels);
    for (std::size_t comma = labels.find(','); comma != std::string::npos;
         comma = labels.find(',', comma + 4))
      labels.replace(comma, 1, "`, `");
    table += "| `" + std::string(metric.name) + "` | " + std::string(to_string(metric.type)) +
             " | " + (labels.empty() ? "" : "`" + labels + "`") + " | " + std::string(metric.help) +
             " |\n";
  }
  EXPECT_NE(text.find(table), std::string::npos) << "docs/metrics.md should have:\n" << table;
}

TEST(Documents, AdminApiHasEveryCall) {
  const std::string text = document("admin-api.md");
  for (const Endpoint& endpoint : endpoints()) {
    EXPECT_NE(text.find("`" + std::string(endpoint.pattern) + "`"), std::string::npos)
        << endpoint.pattern;
    std::string example(endpoint.example);
    EXPECT_NE(text.find("curl --fail-with-body " + example), std::string::npos) << example;
  }
}

}  // namespace
}  // namespace sluice::admin

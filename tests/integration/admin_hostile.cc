#include "tests/integration/admin_hostile.h"

#include <filesystem>

#include "tests/harness/net.h"

namespace sluice::integration {

Fields field(std::string_view name, std::string_view value) {
  Fields fields;
  fields.add(name, value);
  return fields;
}

AdminHostile::Everything AdminHostile::everything() {
  Everything seen;
  const json weights = admin_json("/weights");
  for (const auto& [name, route] : weights["routes"].items()) {
    seen.routes[name] = {route["weights"], route["revision"], route.value("states", json()),
                         route.value("maintenance", json()), route.value("lease", json())};
  }
  const json backends = admin_json("/backends");
  for (const auto& [name, backend] : backends["backends"].items()) {
    for (const json& server : backend["servers"]) {
      seen.backends[name][server["name"]] = {server["address"], server["draining"],
                                             server.value("weight", json())};
    }
  }
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(directory_->file("state"))) {
    if (file.is_regular_file()) seen.files[file.path()] = harness::read_file(file.path());
  }
  return seen;
}

void AdminHostile::expect_refused(const std::string& what, int status, const std::string& code,
                                  const std::function<Response()>& send) {
  SCOPED_TRACE(what);
  const Everything before = everything();
  const std::size_t lines = audit_lines(0).size();
  const Response response = send();
  EXPECT_EQ(response.status, status) << response.summary() << "\n" << response.body;
  if (!code.empty()) {
    EXPECT_EQ(response.field("Content-Type"), "application/problem+json");
    const json problem = parse_json(response);
    EXPECT_EQ(problem.value("code", ""), code) << response.body;
    EXPECT_EQ(problem.value("status", 0), status);
    EXPECT_FALSE(problem.value("detail", "").empty());
  }
  EXPECT_EQ(everything(), before);
  const std::vector<json> after = audit_lines(lines + 1);
  ASSERT_EQ(after.size(), lines + 1);
  EXPECT_EQ(after.back().value("status", 0), status) << after.back();
  EXPECT_FALSE(after.back().value("what", "").empty()) << after.back();
}

void AdminHostile::expect_each(const std::vector<Row>& rows, const Fields& fields) {
  for (const Row& row : rows) {
    expect_refused(
        std::string(row.method) + " " + row.target.substr(0, 80) + " " + row.body.substr(0, 80),
        row.status, row.code, [&] { return call(row.method, row.target, row.body, fields); });
  }
}

}  // namespace sluice::integration

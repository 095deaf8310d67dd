// AdminCalls: tests of who may call the admin interface: tokens made with the real command, calls
// that show them, and the audit log in a file of its own, line by line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/child.h"
#include "tests/integration/sluice_test.h"

namespace sluice::integration {

// Those that have their end: the last of a file may be half written.
std::vector<std::string> lines_of(std::string_view text);
Fields bearer(const std::string& token);
// With the Content-Type of a form, where there is a body.
Fields as_form(Fields fields, std::string_view body);

class AdminCalls : public SluiceTest {
 protected:
  // `sluice token …` on this test's file.
  harness::Ran token_command(std::vector<std::string> words);
  // Adds a token to the file and returns it.
  std::string make_token(const std::string& name, const std::string& role,
                         std::vector<std::string> more = {});
  // The audit log in a file; tokens from the file that make_token() writes.
  std::string audit_table() const { return "[audit_log]\npath = \"@DIR@/audit.log\"\n"; }
  Scenario with_tokens();

  Response call(std::string_view method, std::string_view target, std::string_view form = {},
                const Fields& fields = {});
  // All lines, once there are that many and as many as the metric says.
  std::vector<json> audit_lines(std::size_t at_least);
};

}  // namespace sluice::integration

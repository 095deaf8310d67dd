#include "tests/integration/admin_calls.h"

#include <filesystem>

#include "tests/harness/net.h"

namespace sluice::integration {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

Fields bearer(const std::string& token) {
  Fields fields;
  fields.add("Authorization", "Bearer " + token);
  return fields;
}

Fields as_form(Fields fields, std::string_view body) {
  if (!body.empty() && !fields.has("Content-Type")) {
    fields.add("Content-Type", "application/x-www-form-urlencoded");
  }
  return fields;
}

harness::Ran AdminCalls::token_command(std::vector<std::string> words) {
  words.insert(words.begin(), {SluiceProcess::binary(), "token"});
  words.insert(words.end(), {"--file", directory_->file("tokens.toml")});
  return harness::run(words);
}

std::string AdminCalls::make_token(const std::string& name, const std::string& role,
                                   std::vector<std::string> more) {
  std::vector<std::string> words = {"create", "--name", name, "--role", role};
  words.insert(words.end(), more.begin(), more.end());
  const harness::Ran ran = token_command(words);
  EXPECT_EQ(ran.code, 0) << ran.output;
  for (const std::string& line : lines_of(ran.output)) {
    if (line.starts_with("slc_")) return line;
  }
  ADD_FAILURE() << "no token in " << ran.output;
  return {};
}

Scenario AdminCalls::with_tokens() {
  const std::string file = directory_->file("tokens.toml");
  if (!std::filesystem::exists(file)) harness::write_file(file, "", 0600);
  return {.more = "tokens_file = \"@DIR@/tokens.toml\"\n" + audit_table()};
}

Response AdminCalls::call(std::string_view method, std::string_view target, std::string_view form,
                          const Fields& fields) {
  return harness::fetch(sluice_->admin(), method, target, form, as_form(fields, form));
}

std::vector<json> AdminCalls::audit_lines(std::size_t at_least) {
  std::vector<std::string> lines;
  const bool came = wait_until([&] {
    lines = lines_of(harness::read_file(directory_->file("audit.log")));
    return lines.size() >= at_least &&
           static_cast<double>(lines.size()) == metric("sluice_audit_lines_total");
  });
  EXPECT_TRUE(came) << lines.size() << " lines, and not " << at_least << "; by the metric "
                    << metric("sluice_audit_lines_total");
  std::vector<json> parsed;
  for (const std::string& line : lines) {
    parsed.push_back(json::parse(line, nullptr, false));
    EXPECT_TRUE(parsed.back().is_object()) << line;
  }
  return parsed;
}

}  // namespace sluice::integration

#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

// Runs `sh -c SCRIPT sh WORDS…` and takes its outputs apart again.
Said run_apart(const harness::TempDir& directory, const std::string& script,
               const std::vector<std::string>& words,
               const std::map<std::string, std::string>& environment, Deadline deadline) {
  std::vector<std::string> all = {"env"};
  for (const char* name : {"SLUICE_ADMIN", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE", "SLUICE_AUTHOR"}) {
    all.insert(all.end(), {"-u", name});
  }
  for (const auto& [name, value] : environment) all.push_back(name + "=" + value);
  const std::string errors = directory.file("client.err");
  all.insert(all.end(), {"sh", "-c", "exec 2>\"$0\"; " + script, errors});
  all.insert(all.end(), words.begin(), words.end());
  const harness::Ran ran = harness::run(all, deadline);
  return {.code = ran.code, .out = ran.output, .err = harness::read_file(errors)};
}

}  // namespace

Said CliTestBase::run_sluice(const std::vector<std::string>& words, const Environment& environment,
                             Deadline deadline) const {
  std::vector<std::string> all = {SluiceProcess::binary()};
  all.insert(all.end(), words.begin(), words.end());
  return run_apart(*directory_, "exec \"$@\"", all, environment, deadline);
}

Said CliTestBase::sluice(const std::vector<std::string>& words, bool with_admin) const {
  Environment environment;
  if (with_admin) environment["SLUICE_ADMIN"] = admin_url();
  return run_sluice(words, environment);
}

Said CliTestBase::shell(const std::string& line, const Environment& more) const {
  Environment environment = more;
  environment.insert({{"SLUICE", SluiceProcess::binary()}, {"SLUICE_ADMIN", admin_url()}});
  return run_apart(*directory_, line, {}, environment, Deadline(seconds(120)));
}

}  // namespace sluice::integration

// The completion scripts in the shells that they are for, against a running Sluice.
#include "tests/harness/raw_origin.h"
#include "tests/integration/cli_test.h"

namespace sluice::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CliCompletionTest : public CliTestBase {
 protected:
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      if (end > at) found.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    std::ranges::sort(found);
    return found;
  }
  // Runs a script of that shell; `sluice` is in its path.
  std::vector<std::string> in(const std::string& shell_name, const std::string& script) {
    harness::write_file(directory_->file("script"), script);
    const Said said = shell("PATH=$(dirname \"$SLUICE\"):$PATH exec " + shell_name + " '" +
                            directory_->file("script") + "'");
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.err, "") << script;
    return lines(said.out);
  }
  // What bash would offer at the end of the line.
  std::vector<std::string> bash(const std::string& line) {
    return in("bash --norc", R"(
source <(sluice completion bash)
COMP_LINE=')" + line + R"('
COMP_POINT=${#COMP_LINE}
compopt() { echo "compopt $*"; }
complete -p sluice >/dev/null
_sluice
printf '%s\n' "${COMPREPLY[@]}")");
  }
};

TEST_F(CliCompletionTest, BashCompletesCommandsOptionsAndNames) {
  start();
  EXPECT_THAT(bash("sluice sta"), ElementsAre("states", "status"));
  EXPECT_THAT(bash("sluice weights "), ElementsAre("app"));
  EXPECT_THAT(bash("sluice shift app "),
              ElementsAre("blue=", "compopt -o nospace", "compopt -o nospace", "green="));
  EXPECT_THAT(bash("sluice shift app blue=1 gr"), ElementsAre("compopt -o nospace", "green="));
  EXPECT_THAT(bash("sluice drain blue/"), ElementsAre("blue/one"));
  // Readline's word begins behind the =.
  EXPECT_THAT(bash("sluice states app blue=st"), ElementsAre("sticky_only"));
  EXPECT_THAT(bash("sluice shift --on-lapse "), ElementsAre("freeze", "revert"));
  EXPECT_THAT(bash("sluice -c "), ElementsAre("compopt -o default"));
  EXPECT_THAT(bash("sluice nonsense "), IsEmpty());
}

TEST_F(CliCompletionTest, FishCompletesTheSame) {
  if (!harness::is_installed("fish")) GTEST_SKIP() << "fish is not installed";
  start();
  const auto fish = [&](const std::string& line) {
    return in("fish --no-config", "sluice completion fish | source\ncomplete -C '" + line + "'\n");
  };
  EXPECT_THAT(fish("sluice weights "), ElementsAre("app"));
  EXPECT_THAT(fish("sluice shift app "), ElementsAre("blue=", "green="));
  EXPECT_THAT(fish("sluice sta"), ElementsAre(HasSubstr("states\tSet backends"),
                                              HasSubstr("status\tSay how Sluice is")));
}

TEST_F(CliCompletionTest, ZshCompletesTheSame) {
  if (!harness::is_installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  start();
  const auto zsh = [&](const std::string& words) {
    return in("zsh -f", R"(
compdef() { : }
compadd() { [[ $1 == -S ]] && shift 2; shift; print -l -- "$@" }
_files() { print files }
source <(sluice completion zsh)
words=()" + words + R"()
CURRENT=${#words}
_sluice
)");
  };
  EXPECT_THAT(zsh("sluice sta"), ElementsAre("states", "status"));
  EXPECT_THAT(zsh("sluice weights ''"), ElementsAre("app"));
  EXPECT_THAT(zsh("sluice shift app ''"), ElementsAre("blue=", "green="));
  EXPECT_THAT(zsh("sluice weights --token-file ''"), ElementsAre("files"));
}

TEST_F(CliCompletionTest, NobodyWaitsForASluiceThatDoesNotAnswer) {
  harness::RawOrigin silent([](harness::RawConnection& connection) { connection.read_to_end(); });
  const auto begin = std::chrono::steady_clock::now();
  Said said = run_sluice({"complete", "weights", "--admin", "http://" + silent.address(), ""}, {});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.out, "");
  EXPECT_EQ(said.err, "");
  // Twice 200 ms is for starting the process on a busy machine.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, sanitized() ? seconds(20) : seconds(2));
  said = run_sluice({"complete", "sta"}, {{"SLUICE_ADMIN", "nonsense://"}});
  EXPECT_EQ(said.code, 0);
  EXPECT_THAT(said.out, HasSubstr("status\t"));
}

}  // namespace
}  // namespace sluice::integration

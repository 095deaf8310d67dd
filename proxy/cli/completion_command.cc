// `sluice completion SHELL`, and the scripts it prints. They know nothing themselves: they ask
// `sluice complete` with the words so far.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "proxy/cli/commands.h"
#include "proxy/cli/completion.h"
#include "proxy/cli/exit_status.h"

namespace sluice::cli {
namespace {

constexpr std::string_view kBash =
    R"(# Completion of sluice for bash: source <(sluice completion bash)
_sluice() {
  local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[^=:]/} prefix= candidate
  local -a words reply
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local current=${words[${#words[@]}-1]}
  mapfile -t reply < <("${words[0]/#\~/$HOME}" complete "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ ${reply[0]-} == :files ]]; then
    compopt -o default
    return
  fi
  # What readline takes for a word begins behind the last of these.
  if [[ -n $breaks && $current == *["$breaks"]* ]]; then
    prefix=${current%"${current##*["$breaks"]}"}
  fi
  for candidate in "${reply[@]}"; do
    candidate=${candidate%%$'\t'*}
    COMPREPLY+=("${candidate#"$prefix"}")
    if [[ $candidate == *[=:/,] ]]; then compopt -o nospace; fi
  done
}
complete -F _sluice sluice
)";

constexpr std::string_view kZsh = R"(#compdef sluice
# Completion of sluice for zsh: source <(sluice completion zsh), or as _sluice in $fpath.
_sluice() {
  local -a reply closed open
  local line
  reply=("${(@f)$(${words[1]/#\~/$HOME} complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ ${reply[1]} == :files ]]; then
    _files
    return
  fi
  for line in "${reply[@]}"; do
    line=${line%%$'\t'*}
    case $line in
      '') ;;
      *[=:/,]) open+=("$line") ;;
      *) closed+=("$line") ;;
    esac
  done
  (( ${#closed} )) && compadd -- "${closed[@]}"
  (( ${#open} )) && compadd -S '' -- "${open[@]}"
  return 0
}
if [[ ${funcstack[1]} == _sluice ]]; then
  _sluice "$@"
else
  compdef _sluice sluice
fi
)";

constexpr std::string_view kFish =
    R"(# Completion of sluice for fish: sluice completion fish | source
function __sluice_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l reply ($words[1] complete $words[2..-1] 2>/dev/null)
  if test "$reply[1]" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\n' $reply
  end
end
complete -c sluice -f -a '(__sluice_complete)'
)";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return {};
}

void add_completion_commands(CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  CLI::App& command =
      line.add("completion", "Print a shell's completion script: bash, zsh or fish");
  command.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  line.on(command, [shell] {
    fmt::print("{}", completion_script(*shell));
    return code_of(ExitStatus::done);
  });
}

}  // namespace sluice::cli
